// The ways of scheduling a job; what each one is, is in `control/driver/modes.ts`.

/**
 * `drizzle`: a whole group of micro-batches at once, shuffles pre-scheduled. `bsp`: each stage of
 * each micro-batch by an order of its own, blocks pulled after a barrier, as in Spark.
 */
export type ExecutionMode = 'drizzle' | 'bsp';

export const executionModes: readonly ExecutionMode[] = ['drizzle', 'bsp'];
