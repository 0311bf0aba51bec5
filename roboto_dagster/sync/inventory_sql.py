"""The tables of the inventory and the longer statements on them.

```
file    one row per listed file: what the platform lists, what is planned, and the result; also the facts
        about the file on disk, where this run published it or the manifest has them of the very record
known   facts about other files that earlier runs published: from the manifest, the publish logs and the
        destination's other manifests; `fate` is set for those that are not listed now
folder  every folder that a listed file needs, by its place
on_disk what was on disk, when the plan was made, in the place of files to fetch
fetched files that were published, on their way into `file`
```
"""

TABLES = """
CREATE TABLE file (
    seq INTEGER PRIMARY KEY, dataset_id TEXT, file_id TEXT, version INTEGER, relative_path TEXT, place TEXT,
    size_bytes INTEGER, uri TEXT, association_id TEXT, bucket TEXT,
    action TEXT DEFAULT 'keep', status TEXT DEFAULT 'unchanged', attempts INTEGER DEFAULT 0,
    duration_seconds REAL DEFAULT 0, error_code TEXT, error TEXT, transient INTEGER DEFAULT 0,
    is_final INTEGER DEFAULT 0, request_id TEXT, advice TEXT,
    disk_bytes INTEGER, mtime_ns INTEGER, etag TEXT, checksum TEXT, verified TEXT, fetched_at INTEGER
);
CREATE TABLE known (
    dataset_id TEXT, relative_path TEXT, file_id TEXT, version INTEGER, size_bytes INTEGER, mtime_ns INTEGER, uri TEXT,
    etag TEXT, checksum TEXT, verified TEXT, fetched_at INTEGER, fate TEXT, PRIMARY KEY (relative_path, dataset_id)
) WITHOUT ROWID;
CREATE TABLE folder (place TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE on_disk (seq INTEGER PRIMARY KEY, dataset_id TEXT, relative_path TEXT, size_bytes INTEGER, mtime_ns INTEGER,
    inode INTEGER);
CREATE TABLE fetched (seq INTEGER PRIMARY KEY, attempts INTEGER, duration_seconds REAL, disk_bytes INTEGER,
    mtime_ns INTEGER, etag TEXT, checksum TEXT, verified TEXT, fetched_at INTEGER);
CREATE UNIQUE INDEX on_disk_path ON on_disk (dataset_id, relative_path);
"""

FACTS = "disk_bytes, mtime_ns, etag, checksum, verified, fetched_at"
"""The columns of `file` that are facts about the file on disk; without `mtime_ns` there are none."""

_NO_FACTS = ", ".join(f"{column} = NULL" for column in FACTS.split(", "))

FILE_COLUMNS = "seq, dataset_id, file.file_id, file.version, relative_path, file.size_bytes, file.uri, association_id"
"""The columns of a `PlannedFile`, which every query of files selects first."""

# A file that is listed twice, since pages shift while files are added, counts once, as last listed.
# A prefix is compared by range, `a/` to `a0`, since LIKE would take `_` and `%` in names for
# wildcards.
# What is known of the one listed before may be what is on disk, and is not lost with it.
COLLISIONS = """
CREATE INDEX file_place ON file (place);
CREATE INDEX file_path ON file (dataset_id, relative_path);
CREATE TEMP TABLE repeated AS
    SELECT one.seq FROM file AS one JOIN file AS later USING (place, file_id) WHERE later.seq > one.seq;
INSERT OR IGNORE INTO known (dataset_id, relative_path, file_id, version, size_bytes, mtime_ns, uri, etag, checksum,
        verified, fetched_at)
    SELECT dataset_id, relative_path, file_id, version, disk_bytes, mtime_ns, uri, etag, checksum, verified, fetched_at
    FROM file WHERE seq IN repeated AND mtime_ns IS NOT NULL;
DELETE FROM file WHERE seq IN repeated;
DELETE FROM file WHERE place IS NULL AND file_id <> '' AND seq NOT IN (
    SELECT max(seq) FROM file WHERE place IS NULL GROUP BY dataset_id, file_id, relative_path
);
UPDATE file SET place = NULL, action = 'skip', status = 'skipped', error = :marker
    WHERE size_bytes = 0 AND action = 'keep' AND place IN (SELECT place FROM folder) AND EXISTS (
        SELECT 1 FROM file AS inner_file
        WHERE inner_file.place >= file.place || '/' AND inner_file.place < file.place || '0'
        AND substr(inner_file.relative_path, 1, length(file.relative_path) + 1) = file.relative_path || '/'
    );
CREATE TEMP TABLE disputed AS
    SELECT place FROM file WHERE place IS NOT NULL GROUP BY place HAVING count(*) > 1
    UNION SELECT file.place FROM file JOIN folder USING (place);
UPDATE file SET error_code = 'COLLISION', error = 'another file of the dataset has the same place on disk'
    WHERE place IN (SELECT place FROM disputed);
"""

BENEATH = """
UPDATE file SET error_code = 'COLLISION', error = 'one of its folders is also a file of the dataset'
    WHERE place >= ? || '/' AND place < ? || '0'
"""

ADD_FOUND = """
INSERT OR REPLACE INTO known SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL WHERE NOT EXISTS (
    SELECT 1 FROM known WHERE dataset_id = ? AND relative_path = ? AND size_bytes = ? AND mtime_ns = ?
)
"""

ADD_UNLISTED = """
INSERT OR REPLACE INTO known SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL
    WHERE NOT EXISTS (SELECT 1 FROM file WHERE dataset_id = ? AND relative_path = ?)
"""

CORRECT = f"""
UPDATE file SET status = 'unchanged', file_id = ?1, version = ?2, uri = ?3, {_NO_FACTS}
    WHERE dataset_id = ?4 AND relative_path = ?5 AND status IN ('fetched', 'unchanged')
    AND CASE WHEN mtime_ns IS NOT NULL THEN (disk_bytes, mtime_ns) <> (?6, ?7) ELSE EXISTS (
        SELECT 1 FROM known WHERE known.dataset_id = ?4 AND known.relative_path = ?5
        AND (known.size_bytes, known.mtime_ns) <> (?6, ?7)
    ) END
"""  # noqa: S608 - put together from constants alone

FORGET_FAILED = f"""
UPDATE file SET {_NO_FACTS} WHERE dataset_id = ? AND relative_path = ? AND status IN ('failed', 'skipped')
"""  # noqa: S608 - put together from constants alone

DROP_REMOVED = """
DELETE FROM file WHERE dataset_id = ? AND relative_path = ? AND file_id = ? AND status IN ('fetched', 'unchanged')
"""

# The manifest is read while the files are listed, and the publish logs after that: they may know of newer files.
PREFER_KNOWN = f"""
UPDATE file SET {_NO_FACTS} WHERE seq IN (
    SELECT seq FROM known CROSS JOIN file USING (dataset_id, relative_path)
    WHERE (known.size_bytes, known.mtime_ns) <> (file.disk_bytes, file.mtime_ns)
)
"""  # noqa: S608 - put together from constants alone

ADOPT = """
INSERT OR IGNORE INTO known SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL
    WHERE EXISTS (SELECT 1 FROM on_disk WHERE dataset_id = ? AND relative_path = ? AND size_bytes = ? AND mtime_ns = ?)
"""

TOO_LONG = """
UPDATE file SET place = NULL, error_code = 'UNSAFE_PATH',
    error = 'with the destination, the path is longer than 4095 bytes, which no program can open'
    WHERE action = 'keep' AND error_code IS NULL
    AND length(CAST(dataset_id || '/' || relative_path AS BLOB)) > :most
"""

REFUSE = """
UPDATE file SET action = 'refuse', status = 'failed' WHERE error_code IS NOT NULL AND action = 'keep'
"""

PLAN_FETCH = """
UPDATE file SET action = 'fetch', status = 'failed', error_code = 'CANCELLED', error = 'it was not reached'
    WHERE seq IN (SELECT value FROM json_each(?))
"""

FORGET = """
DELETE FROM known WHERE (dataset_id, relative_path) IN (
    SELECT dataset_id, relative_path FROM file WHERE seq IN (SELECT value FROM json_each(?))
)
"""

FORGET_RECORDED = f"""
UPDATE file SET {_NO_FACTS} WHERE seq IN (SELECT value FROM json_each(?)) AND mtime_ns IS NOT NULL
"""  # noqa: S608 - put together from constants alone

NOTE_ON_DISK = """
INSERT OR REPLACE INTO on_disk SELECT seq, dataset_id, relative_path, ?, ?, ? FROM file WHERE seq = ?
"""

NOTE_FETCHED = """
UPDATE file SET status = 'fetched', error_code = NULL, error = NULL,
    (attempts, duration_seconds, disk_bytes, mtime_ns, etag, checksum, verified, fetched_at) = (
        SELECT file.attempts + new.attempts, new.duration_seconds, new.disk_bytes, new.mtime_ns, new.etag,
            new.checksum, new.verified, new.fetched_at FROM fetched AS new WHERE new.seq = file.seq
    ) WHERE seq IN (SELECT seq FROM fetched)
"""

NOTE_FAILED = """
UPDATE file SET status = 'failed', error_code = ?, error = ?, transient = ?, request_id = ?, advice = ?,
    attempts = attempts + ? WHERE seq IN (SELECT value FROM json_each(?))
"""

PLAN_KEEP = """
UPDATE file SET action = 'keep', status = 'unchanged', error_code = NULL, error = NULL WHERE seq = ?
"""

# A file has its facts in its own row or in `known`.
_WITH_KNOWN = (
    "file LEFT JOIN known ON known.relative_path = file.relative_path AND known.dataset_id = file.dataset_id"
    " AND file.mtime_ns IS NULL"
)
_SIZE = "coalesce(file.disk_bytes, known.size_bytes, file.size_bytes)"
_ETAG = "coalesce(file.etag, known.etag)"
_CHECKSUM = "coalesce(file.checksum, known.checksum)"

MANIFEST_ROWS = f"""
SELECT CASE WHEN file.status IN ('failed', 'skipped') AND known.mtime_ns IS NOT NULL THEN known.file_id
        ELSE file.file_id END,
    CASE WHEN file.status IN ('failed', 'skipped') AND known.mtime_ns IS NOT NULL THEN known.version
        ELSE file.version END,
    file.relative_path,
    CASE WHEN file.place IS NOT NULL THEN :root || file.dataset_id || '/' || file.relative_path END,
    {_SIZE},
    coalesce(file.mtime_ns, known.mtime_ns),
    CASE WHEN file.status IN ('failed', 'skipped') THEN coalesce(known.uri, file.uri) ELSE file.uri END,
    {_ETAG},
    {_CHECKSUM},
    coalesce(file.verified, known.verified),
    file.status, file.attempts, file.duration_seconds, file.error_code, file.error,
    coalesce(file.fetched_at, known.fetched_at),
    file.dataset_id
FROM {_WITH_KNOWN}
UNION ALL
SELECT file_id, version, relative_path, :root || dataset_id || '/' || relative_path, size_bytes,
    CASE fate WHEN 'not_listed' THEN mtime_ns END, uri, etag, checksum, verified, fate, 0, 0, NULL, NULL, fetched_at,
    dataset_id
FROM known WHERE fate IN ('not_listed', 'removed')
"""  # noqa: S608 - put together from constants alone

# An MD5 is that of an ETag, which is there with `verify="size"` too.
DELIVERED = f"""
SELECT file.dataset_id, file.relative_path, {_SIZE}, coalesce(
    CASE WHEN {_CHECKSUM} NOT GLOB 'md5:*' THEN {_CHECKSUM} END, {_ETAG}, file.file_id || '@' || file.version)
FROM {_WITH_KNOWN} WHERE file.status IN ('fetched', 'unchanged')
ORDER BY file.dataset_id, file.relative_path
"""  # noqa: S608 - put together from constants alone

UNDECIDED = f"""
SELECT seq, file.dataset_id || '/' || file.relative_path, coalesce(file.disk_bytes, known.size_bytes),
    coalesce(file.mtime_ns, known.mtime_ns),
    file.mtime_ns IS NOT NULL OR file.file_id = known.file_id AND file.version = known.version
FROM {_WITH_KNOWN} WHERE action = 'keep' AND seq > ? ORDER BY seq LIMIT ?
"""  # noqa: S608 - put together from constants alone

# Put together from constants alone, so S608 does not apply to these.
KNOWN_ON_DISK = f"""
SELECT {FILE_COLUMNS}, known.file_id, known.version, known.size_bytes, known.mtime_ns
FROM on_disk JOIN file USING (seq, dataset_id, relative_path) JOIN known USING (dataset_id, relative_path)
WHERE action = 'fetch' AND known.size_bytes = on_disk.size_bytes AND known.mtime_ns = on_disk.mtime_ns
    AND seq > ? ORDER BY seq LIMIT ?
"""  # noqa: S608 - see above

OTHER_VERSIONS = f"""
SELECT {FILE_COLUMNS}, known.etag, on_disk.size_bytes, on_disk.mtime_ns
FROM on_disk JOIN file USING (seq, dataset_id, relative_path) JOIN known USING (dataset_id, relative_path)
WHERE action = 'fetch' AND association_id = ? AND bucket = ? AND known.size_bytes = on_disk.size_bytes
    AND known.mtime_ns = on_disk.mtime_ns AND known.size_bytes = file.size_bytes AND known.uri = file.uri
    AND known.etag IS NOT NULL AND seq > ? ORDER BY seq LIMIT ?
"""  # noqa: S608 - see above

UNKNOWN_ON_DISK = f"""
SELECT {FILE_COLUMNS}, NULL, on_disk.size_bytes, on_disk.mtime_ns
FROM on_disk JOIN file USING (seq, dataset_id, relative_path) LEFT JOIN known USING (dataset_id, relative_path)
WHERE action = 'fetch' AND association_id = ? AND bucket = ? AND known.dataset_id IS NULL
    AND on_disk.size_bytes = file.size_bytes AND seq > ? ORDER BY seq LIMIT ?
"""  # noqa: S608 - see above

# One row, a JSON array: read while files are fetched, and each row would be one more turn of the interpreter's lock.
FILES = f"""
SELECT json_group_array(json_array({FILE_COLUMNS}, on_disk.size_bytes, on_disk.mtime_ns, on_disk.inode))
FROM file LEFT JOIN on_disk USING (seq, dataset_id, relative_path) WHERE seq IN (SELECT value FROM json_each(?))
"""  # noqa: S608 - see above

FAILURES = f"""
SELECT {FILE_COLUMNS}, error_code, error, transient, attempts, request_id, advice FROM file
WHERE status = ? ORDER BY action <> 'refuse', seq LIMIT ?
"""  # noqa: S608 - see above

UNLISTED = """
SELECT dataset_id, relative_path, known.size_bytes, known.mtime_ns
FROM known LEFT JOIN file USING (dataset_id, relative_path) WHERE file.seq IS NULL
"""
