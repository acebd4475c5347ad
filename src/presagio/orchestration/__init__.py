"""What runs inside Airflow. Besides the DAG files, the only package that knows it."""
