// The numbers of the control plane. Three must never be mixed up, so each is a type of its own:
// term (the driver's epoch), incarnation (one life of a worker), placement version.

export type WorkerId = number & { readonly brand: 'WorkerId' };
/** The driver's epoch: orders of an older term are refused. */
export type Term = number & { readonly brand: 'Term' };
/** One life of a worker; everything from one declared dead is refused. */
export type Incarnation = number & { readonly brand: 'Incarnation' };
/** Which placement holds for a micro-batch; named by the order that permits it. */
export type PlacementVersion = number & { readonly brand: 'PlacementVersion' };
export type GroupId = number & { readonly brand: 'GroupId' };
/** The number of a micro-batch: never repeats and never goes back within a pipeline. */
export type BatchNumber = number & { readonly brand: 'BatchNumber' };

export const noBatch: BatchNumber = -1 as BatchNumber;
