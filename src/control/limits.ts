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
 * Messages that came before the template they belong to. A peer may run ahead by `inFlightMax`
 * micro-batches, with one frame an exchange.
 */
export const heldMessagesMax = 4096;

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

/** Ranges in one block header: one for each source partition upstream. */
export const rangesMax = partitionsMax;

/** The job's description (layouts of sources with many files, the cluster's roster), bytes. */
export const jobTextBytesMax = 16 * 1024 * 1024;

/** A job's bundled code, bytes: hosts keep it in memory once to check its hash. */
export const codeBytesMax = 64 * 1024 * 1024;

/** One chunk of job code, bytes: small enough that heartbeats get between. */
export const codeChunkBytes = 256 * 1024;
