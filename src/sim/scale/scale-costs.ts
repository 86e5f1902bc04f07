// What things cost in a simulation of scale, ms of a processor unless said otherwise. The numbers
// come from measurements or from a fit; the simulation knows none of its own.

export type DriverCosts = {
  /** Planning one order: a group, or one stage of one micro-batch. */
  readonly orderMs: number;
  /** One message that leaves the driver, and one that comes. */
  readonly sendMs: number;
  readonly receiveMs: number;
  /** Each task that an order launches at its receiver, and each one that a message completes. */
  readonly launchTaskMs: number;
  readonly completeTaskMs: number;
};

export type WorkerCosts = {
  readonly sendMs: number;
  readonly receiveMs: number;
  /** A task without its work: scheduling it, calling it, taking its result. */
  readonly taskMs: number;
};

export type LinkCosts = {
  /** From one process to another, not counting what the processors do, ms. */
  readonly delayMs: number;
  readonly bytesPerMs: number;
};

export type ScaleCosts = {
  readonly driver: DriverCosts;
  readonly worker: WorkerCosts;
  readonly link: LinkCosts;
};
