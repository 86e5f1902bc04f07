// The ways of scheduling a job; what each one is, is in `control/driver/modes.ts`.

/**
 * `drizzle`: a whole group of micro-batches at once, shuffles pre-scheduled. `bsp`: each stage of
 * each micro-batch by an order of its own, blocks pulled after a barrier, as in Spark.
 * `continuous`: the task of a micro-batch stays open and takes blocks as they come, and a
 * micro-batch is what lies between two aligned barriers, as in Flink.
 */
export type ExecutionMode = 'drizzle' | 'bsp' | 'continuous';

export const executionModes: readonly ExecutionMode[] = ['drizzle', 'bsp', 'continuous'];
