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
  /** Beginning to work after having had nothing to do. */
  readonly wakeMs: number;
};

/** The main thread of a host, which passes messages between sockets and its workers' threads. */
export type HostCosts = {
  readonly sendMs: number;
  readonly receiveMs: number;
  readonly wakeMs: number;
};

export type WorkerCosts = {
  /** A message between the worker's thread and another one, at the worker. */
  readonly sendMs: number;
  readonly receiveMs: number;
  /** What one producer gives, in a message: written, or read and recorded. */
  readonly entryMs: number;
  /** A task without its work: scheduling it, calling it, taking its result. */
  readonly taskMs: number;
  /** A task that has inputs: beyond `taskMs`, and for each producer's block that it takes in. */
  readonly consumerMs: number;
  readonly inputMs: number;
  readonly wakeMs: number;
};

export type LinkCosts = {
  /** From one process to another, not counting what the processors do, ms. */
  readonly delayMs: number;
  readonly bytesPerMs: number;
};

export type ScaleCosts = {
  readonly driver: DriverCosts;
  readonly host: HostCosts;
  readonly worker: WorkerCosts;
  readonly link: LinkCosts;
};
