"""Where tasks wait, and how long they may run: one definition for DAG files, workers and broker."""

from datetime import timedelta

# Whatever files and watches, and trainings. The LocalExecutor knows no queues and takes both.
INTAKE, TRAIN = "intake", "train"
# A batch is as large as a file may be, or 10,000 small ones.
INTAKE_LIMIT = timedelta(hours=6)
TRAIN_LIMIT = timedelta(hours=2)
# The broker hands a message out again when it was not acknowledged in this time. A message is
# acknowledged when its task has ended, so this is longer than the longest task: a task that still
# runs must not be started by a second worker. That it is long delays nothing, since Airflow finds
# tasks of dead workers by their heartbeats, and makes new messages for them.
VISIBILITY_TIMEOUT_S = int((max(INTAKE_LIMIT, TRAIN_LIMIT) + timedelta(hours=1)).total_seconds())
