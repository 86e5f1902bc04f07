// The numbers of the control plane. Three must never be mixed up, so each is a type of its own:
// term (the driver's epoch), incarnation (one life of a worker), placement version.

export type WorkerId = number & { readonly brand: 'WorkerId' };
/** The driver's epoch: orders of an older term are refused. */
export type Term = number & { readonly brand: 'Term' };
/** One life of a worker; everything from one declared dead is refused. */
export type Incarnation = number & { readonly brand: 'Incarnation' };
/**
 * Which placement holds for a micro-batch; named by the order that permits it. Those of a later
 * term are greater, so one that an older driver has published never passes for a newer one's.
 */
export type PlacementVersion = number & { readonly brand: 'PlacementVersion' };
export type GroupId = number & { readonly brand: 'GroupId' };
/** The number of a micro-batch: never repeats and never goes back within a pipeline. */
export type BatchNumber = number & { readonly brand: 'BatchNumber' };

/** Placements that a driver may publish: one a second for half a year. */
const placementsPerTerm = 2 ** 24;

/** The first placement of a term. */
export function firstVersionOf(term: Term): PlacementVersion {
  return ((term - 1) * placementsPerTerm) as PlacementVersion;
}

/** The term of the driver that has published a placement. */
export function termOf(version: PlacementVersion): Term {
  return (Math.floor(version / placementsPerTerm) + 1) as Term;
}

export const noBatch: BatchNumber = -1 as BatchNumber;
