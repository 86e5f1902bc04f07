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

/** Micro-batch makespans kept between two reports; beyond it each further one replaces the last. */
export const makespansPerReportMax = 1024;

/** Intervals that a group may start late before the driver moves the anchor to the present. */
export const reanchorIntervals = 2;

/** Look-ahead beyond the measured cost of a boundary, micro-batches: absorbs its jitter. */
export const lookAheadMargin = 2;
