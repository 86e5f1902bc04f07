// The entry `mizzle/testing`: what users need to test their own pipelines.

export { checkDeterminism, simulate } from './simulate.ts';
export type { SimulatedRun, SimulateOptions, SimulationInput } from './simulate.ts';
