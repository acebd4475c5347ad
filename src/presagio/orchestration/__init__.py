"""What the DAGs call. Besides the DAG files, the only room that knows Airflow."""
