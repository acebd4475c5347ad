-- A role that removes old rows of Airflow's history for `airflow db clean`, and reads no connection, variable or
-- account. As a superuser, in Airflow's database, again after an upgrade of Airflow (docs/operations.md):
--   psql -U postgres -d airflow -v password=... -f deploy/airflow_cleaner.sql
\set ON_ERROR_STOP on
SELECT 'CREATE ROLE airflow_cleaner LOGIN'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'airflow_cleaner') \gexec
ALTER ROLE airflow_cleaner PASSWORD :'password';
SELECT format('GRANT CONNECT ON DATABASE %I TO airflow_cleaner', current_database()) \gexec
-- What is removed is written into a table first, which is dropped.
GRANT USAGE, CREATE ON SCHEMA public TO airflow_cleaner;
SELECT format('GRANT SELECT, DELETE ON %I TO airflow_cleaner', tablename)
FROM pg_tables
WHERE schemaname = 'public' AND tablename IN (
  'asset_event', 'callback', 'connection_test_request', 'dag', 'dag_run', 'dag_version', 'deadline', 'import_error',
  'job', 'log', 'partitioned_asset_key_log', 'revoked_token', 'session', 'task_instance', 'task_instance_history',
  'task_reschedule', 'task_state_store', 'trigger', 'xcom', 'celery_taskmeta', 'celery_tasksetmeta'
) \gexec
-- Looked at to know what is over.
SELECT format('GRANT SELECT ON %I TO airflow_cleaner', tablename)
FROM pg_tables WHERE schemaname = 'public' AND tablename = 'asset_partition_dag_run' \gexec
-- Where Airflow has accounts: sessions that are over, and none that somebody could go on with.
SELECT format(command, 'session')
FROM pg_tables, unnest(ARRAY[
  'ALTER TABLE %I ENABLE ROW LEVEL SECURITY',
  'DROP POLICY IF EXISTS airflow_cleaner ON %I',
  'CREATE POLICY airflow_cleaner ON %I TO airflow_cleaner USING (expiry < now() AT TIME ZONE ''UTC'')'
]) WITH ORDINALITY AS each (command, place)
WHERE schemaname = 'public' AND tablename = 'session' ORDER BY place \gexec
