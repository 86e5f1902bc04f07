// Every bound of the control plane, beside its reason. Nothing in `control/` grows without one.

/**
 * Micro-batches that a worker may have begun and not finished. Two keep the processor busy while
 * blocks travel; four also ride out a sink that commits slower than the interval. More only adds
 * memory and hides a straggler ([Drizzle §3.2] has no bound).
 */
export const inFlightMax = 4;

/** A report at least this often, ms: fresh enough for a person and for a group-size controller. */
export const reportIntervalMs = 50;

/**
 * Periodic reports that all workers together send, a second: about a tenth of the driver's
 * processor. From 500 workers on, each reports less often.
 */
export const reportsPerSecondMax = 10_000;

/**
 * Reports with gauges that all workers together send, a second. Gauges name every source partition,
 * and what a group costs the driver must not grow with partitions: they come by time.
 */
export const gaugesPerSecondMax = 1000;

/**
 * With interval 0, a source task that has nothing to read waits this long, ms, for its source
 * before it contributes nothing: other partitions must not starve behind a quiet one.
 */
export const quietSourceWaitMs = 5;

/** Micro-batches in a group, at most: an order stays revocable and `cut` answers stay small. */
export const groupSizeMax = 100_000;

/** Groups that are permitted and not yet done everywhere; bounds the promises a driver gives. */
export const groupsOutstandingMax = 64;

/**
 * Messages that came before the placement they belong to. A peer may run ahead by `inFlightMax`
 * micro-batches, with one frame an exchange, or one for each consumer where there is a fan-in;
 * after a loss it may send again all since a checkpoint.
 */
export const heldMessagesMax = 65_536;

/**
 * How long a worker may take to say what it has after a loss, ms. One that needs longer than the
 * others' work would take again holds everybody up.
 */
export const answerTimeoutMs = 2000;

/**
 * Micro-batch makespans in a report: every one up to here, then every second, fourth …, so that
 * what a report costs the driver does not grow with the micro-batches it covers. Sixteen cost the
 * driver's monitor less than the rest of the report; percentiles come of many reports.
 */
export const makespansPerReportMax = 16;

/** Intervals that a group may start late before the driver moves the anchor to the present. */
export const reanchorIntervals = 2;

/** In `continuous` mode, time between two parts of a source's micro-batch, ms: Flink's is 100. */
export const partMsDefault = 10;

/** Look-ahead beyond the measured cost of a boundary, micro-batches: absorbs its jitter. */
export const lookAheadMargin = 2;

/** Bytes of one frame. A micro-batch's blocks for one worker; more is split into several frames. */
export const frameBytesMax = 256 * 1024 * 1024;

/** Bytes of a frame before its sender has proved who it is: the largest handshake message. */
export const handshakeFrameBytesMax = 64 * 1024;

/** Bytes of one text on the wire: names, versions, error messages with their stack. */
export const textBytesMax = 16 * 1024;

/** Fields of an error on the wire; people read them. */
export const errorFieldsMax = 64;

/** Stages or exchanges of a template. A plan with more would have to be cut up by hand. */
export const stagesMax = 4096;

/** Partitions of one stage; the planner allows 4096 keyed ones, a folder may have more files. */
export const partitionsMax = 65_536;

/** Workers of a cluster: what the simulator proves, with room. */
export const workersMax = 65_536;

/**
 * Partitions of all stages together, which one message about a recovery may list: a template with
 * more is refused when it is installed, and not when it is too late.
 */
export const placesMax = 16 * partitionsMax;

/**
 * Ranges in one message about a recovery, and as many spans of micro-batches: source partitions ×
 * micro-batches since a checkpoint. 64 partitions at 10 ms have so many in eleven minutes. A record
 * of some 50 bytes each still fits a frame.
 */
export const rangesMax = 4 * 1024 * 1024;

/** The highest number of a micro-batch: one can add to it and still count exactly. */
export const batchNumberMax = 2 ** 52;

/** Objects that the state of one partition is put together from: a base and deltas upon it. */
export const snapshotObjectsMax = 4096;

/** The job's description (layouts of sources with many files, the cluster's roster), bytes. */
export const jobTextBytesMax = 16 * 1024 * 1024;

/** A job's bundled code, bytes: hosts keep it in memory once to check its hash. */
export const codeBytesMax = 64 * 1024 * 1024;

/** One chunk of job code, bytes: small enough that heartbeats get between. */
export const codeChunkBytes = 256 * 1024;

/** Bytes of a blob's key: what S3 allows. */
export const storeKeyBytesMax = 1024;

/** Bytes of a manifest that are read: 65,536 partitions with twenty objects each, with room. */
export const manifestBytesMax = 256 * 1024 * 1024;

/** Checkpoints that are kept unless somebody says otherwise; each is a place to fall back to. */
export const checkpointsKeptDefault = 3;

/** Savepoints that were asked for and are not under way: people ask, one after the other. */
export const savepointsWaitingMax = 16;

/**
 * No object is deleted before it is this old, ms: nothing fences a deletion, so a driver that was
 * replaced and does not know it yet must find nothing that its successor could still be writing.
 */
export const deletionGraceMs = 60 * 60 * 1000;

/**
 * The mark that fences a dead writer of the range log is kept this long, ms. A writer that wakes up
 * later can only add ranges that checkpoints have covered long since.
 */
export const sealKeptMs = 24 * 60 * 60 * 1000;

/** Races that a protocol over the store may lose in a row; more means that something is wrong. */
export const storeRacesMax = 1000;

/** Deltas of a partition's state behind a base: what a restore reads beyond one base is bounded. */
export const deltasMax = 8;

/**
 * Bytes of sent blocks that a worker holds in memory for recovery, unless somebody says otherwise.
 * At 10 MB/s of partial aggregates that is more than two checkpoints at the usual interval, so most
 * jobs never touch the disk; eight workers of a machine take 2 GiB at most.
 */
export const keptBytesMaxDefault = 256 * 1024 * 1024;

/**
 * Bytes by which kept blocks may exceed their limit before sources are held back, if the limit is
 * not larger: a spill disk that is behind, or that is refused for a while, catches up.
 */
export const keptExcessBytes = 64 * 1024 * 1024;

/**
 * Micro-batches in a group while input is held back: a checkpoint is of a group's last one, and
 * what it releases is told by the next order.
 */
export const heldBackGroupMax = 10;

/** While input is held back, what is permitted further ahead is cut off: more than short groups. */
export const heldBackAheadMax = 128;

/** Bytes of kept blocks on a worker's disk, unless somebody says otherwise: a small volume's. */
export const spillBytesMaxDefault = 16 * 1024 * 1024 * 1024;

/**
 * Blocks and ranges that a worker keeps, however small: their objects take some 300 bytes each, and
 * no disk holds them.
 */
export const keptRecordsMax = 1024 * 1024;

/** Bytes that one write moves to the disk: they are in memory twice while it is under way. */
export const spillWriteBytesMax = 16 * 1024 * 1024;

/** After a write to the spill disk has failed, the next one is tried so much later, ms. */
export const spillRetryMs = 5000;

/** Bytes of spilled blocks that are read back at once, to be sent again. */
export const loadBytesMaxDefault = 16 * 1024 * 1024;

/**
 * Micro-batches by which blocks that are sent again may run ahead of the tasks that take them: no
 * receiver can hold all since a checkpoint. Enough to keep it busy while news of it travels.
 */
export const resendAheadMax = 32;

/**
 * Lost source tasks whose ranges a worker reads before it runs them again: each is in memory whole.
 * Enough to keep it busy while files and networks answer.
 */
export const rerunsAheadMax = 8;

/** A worker that catches up says so every so many micro-batches: a quarter of what may wait. */
export const catchUpToldEvery = 8;

/**
 * Micro-batches whose copies go to another host at once: a frame for each would cost as much as the
 * blocks' own. As many tasks of a lost worker run again at most.
 */
export const backupEveryDefault = 8;

/**
 * Bytes that a task gives an exchange, at most, for a copy to be kept elsewhere: partial aggregates
 * of some hundred keys. Making more anew is work that is worth sharing.
 */
export const backupBytesMax = 16 * 1024;

/**
 * From one checkpoint, or one that failed, to the next that a worker short of memory brings about,
 * ms at least; and four times what the last one took, so that they take a fifth of the time.
 */
export const pressureGapMs = 1000;
