#!/usr/bin/env python3
"""engines.py ENGINE ARCHIVE: the job a good engineer would write by hand in DuckDB, chDB or polars. See README.md.

It reads the fields it needs of the export trail and of CloudTrail, counts timeouts, 403s and 409s per job and recording,
joins the storage refusals by object key, and applies a rule of status codes. No hashing, no citations, no rejects, no
snapshots: less than holdtrace does, which is what makes it a fair yardstick for the reading."""
import glob
import os
import sys

engine, archive = sys.argv[1], sys.argv[2]
trail = os.path.join(archive, "trail", "*.ndjson")
cloud = os.path.join(archive, "cloudtrail", "*.json.gz")
has_trail, has_cloud = bool(glob.glob(trail)), bool(glob.glob(cloud))

RULE = """CASE WHEN refused > 0 THEN 'policy_mismatch' WHEN conflicts > 0 THEN 'sync_race'
     WHEN forbidden > 0 THEN 'scope_collision' WHEN timeouts > 0 THEN 'sync_race' ELSE 'other_cause' END"""


def duckdb_job():
    import duckdb

    db = duckdb.connect()
    db.execute("SET threads TO %d" % (os.cpu_count() or 1))
    if has_trail:
        db.execute(f"""CREATE TABLE t AS SELECT * FROM read_json('{trail}', format='newline_delimited', columns={{
            job_id: 'VARCHAR', conversation_id: 'VARCHAR', recording_id: 'VARCHAR', object_key: 'VARCHAR', bucket: 'VARCHAR',
            principal: 'VARCHAR', ts: 'TIMESTAMP', stage: 'VARCHAR', result: 'VARCHAR', http_status: 'INTEGER',
            error_code: 'VARCHAR', error_message: 'VARCHAR', correlation_id: 'VARCHAR', attempt: 'INTEGER'}})""")
    else:
        db.execute("""CREATE TABLE t (job_id VARCHAR, recording_id VARCHAR, object_key VARCHAR, ts TIMESTAMP,
            result VARCHAR, http_status INTEGER)""")
    if has_cloud:
        db.execute(f"""CREATE TABLE c AS SELECT r.* FROM (SELECT unnest(Records) AS r FROM read_json('{cloud}', columns={{
            Records: 'STRUCT(eventTime TIMESTAMP, eventName VARCHAR, eventSource VARCHAR, errorCode VARCHAR,
                errorMessage VARCHAR, requestID VARCHAR, eventID VARCHAR, awsRegion VARCHAR,
                userIdentity STRUCT(arn VARCHAR, accessKeyId VARCHAR),
                requestParameters STRUCT(bucketName VARCHAR, "key" VARCHAR))[]'}}, maximum_object_size=1000000000))""")
    else:
        db.execute("""CREATE TABLE c (errorCode VARCHAR, requestParameters STRUCT("key" VARCHAR))""")
    return len(db.execute(f"""SELECT *, {RULE} AS class FROM (
        SELECT t.job_id, t.recording_id, min(t.ts) AS first, max(t.ts) AS last,
            count(*) FILTER (t.result = 'timeout') AS timeouts, count(*) FILTER (t.http_status = 403) AS forbidden,
            count(*) FILTER (t.http_status IN (409, 412)) AS conflicts, count(x.k) AS refused
        FROM t LEFT JOIN (SELECT DISTINCT requestParameters."key" AS k FROM c WHERE errorCode = 'AccessDenied') x
            ON x.k = t.object_key
        WHERE t.result IN ('timeout', 'failure') GROUP BY ALL) ORDER BY first""").fetchall())


def chdb_job():
    import chdb

    fields = "job_id Nullable(String), recording_id Nullable(String), object_key Nullable(String), ts Nullable(String), " \
        "stage Nullable(String), result Nullable(String), http_status Nullable(Int32), error_code Nullable(String), " \
        "error_message Nullable(String), correlation_id Nullable(String)"
    source = f"file('{trail}', 'JSONEachRow', '{fields}')"
    refusals = "SELECT '' AS k WHERE 0"
    if has_cloud:
        record = "Tuple(eventTime String, eventName String, errorCode Nullable(String), requestID Nullable(String), " \
            "requestParameters Tuple(bucketName Nullable(String), key Nullable(String)))"
        refusals = f"""SELECT DISTINCT r.5.2 AS k FROM (SELECT arrayJoin(Records) AS r FROM
            file('{cloud}', 'JSONEachRow', 'Records Array({record})')) WHERE r.3 = 'AccessDenied'"""
    rows = chdb.query(f"""SELECT *, {RULE} AS class FROM (SELECT job_id, recording_id, min(ts) AS first, max(ts) AS last,
            countIf(result = 'timeout') AS timeouts, countIf(http_status = 403) AS forbidden,
            countIf(http_status IN (409, 412)) AS conflicts, countIf(object_key IN ({refusals})) AS refused
        FROM {source} WHERE result IN ('timeout', 'failure') GROUP BY job_id, recording_id) ORDER BY first
        SETTINGS input_format_null_as_default = 1""", "JSONEachRow")
    return rows.rows_read()


def polars_job():
    import polars as pl

    text = ["job_id", "recording_id", "object_key", "ts", "stage", "result", "error_code", "error_message", "correlation_id"]
    schema = {name: pl.String for name in text} | {"http_status": pl.Int64}
    failing = pl.scan_ndjson(trail, schema=schema).filter(pl.col("result").is_in(["timeout", "failure"]))
    refused = pl.LazyFrame({"object_key": []}, schema={"object_key": pl.String})
    if has_cloud:
        parameters = pl.Struct({"bucketName": pl.String, "key": pl.String})
        record = pl.Struct({"eventTime": pl.String, "eventName": pl.String, "errorCode": pl.String,
                            "requestID": pl.String, "requestParameters": parameters})
        refused = (pl.scan_ndjson(cloud, schema={"Records": pl.List(record)}).explode("Records").unnest("Records")
                   .filter(pl.col("errorCode") == "AccessDenied")
                   .select(pl.col("requestParameters").struct.field("key").alias("object_key")).unique())
    marked = failing.join(refused.with_columns(hit=pl.lit(1)), on="object_key", how="left")
    frame = marked.group_by("job_id", "recording_id").agg(
        first=pl.col("ts").min(), last=pl.col("ts").max(), timeouts=(pl.col("result") == "timeout").sum(),
        forbidden=(pl.col("http_status") == 403).sum(), conflicts=pl.col("http_status").is_in([409, 412]).sum(),
        refused=pl.col("hit").sum()).sort("first").collect(engine="streaming")
    return frame.height


jobs = {"duckdb": duckdb_job, "chdb": chdb_job, "polars": polars_job}
print(jobs[engine]())
