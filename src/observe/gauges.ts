// What a worker measures of itself. Counts are totals since the run began, so that a lost report
// loses nothing.

export type WorkerGauges = {
  readonly recordsIn: number;
  readonly recordsBad: number;
  readonly recordsLate: number;
  readonly bytesIn: number;
  readonly rowsOut: number;
  /** Least watermark of the worker's partitions, epoch ms; Infinity when all input has ended. */
  readonly watermarkMs: number;
  /** How far its sources are behind; null where no source can tell. */
  readonly lagRecords: number | null;
  readonly lagBytes: number | null;
  readonly lagMs: number | null;
  readonly stateBytes: number;
  readonly heapBytes: number;
  /** How far each of its source partitions has been read. */
  readonly offsets: readonly SourceOffset[];
};

/** Source offsets [start, to) of the partition have been read. */
export type SourceOffset = {
  readonly source: string;
  readonly partition: number;
  readonly to: number;
};

export const noGauges: WorkerGauges = {
  recordsIn: 0,
  recordsBad: 0,
  recordsLate: 0,
  bytesIn: 0,
  rowsOut: 0,
  watermarkMs: -Infinity,
  lagRecords: null,
  lagBytes: null,
  lagMs: null,
  stateBytes: 0,
  heapBytes: 0,
  offsets: [],
};

/** The worker's gauges together: sums, and the worst of watermark and lag. */
export function mergeGauges(all: Iterable<WorkerGauges>): WorkerGauges {
  let merged: WorkerGauges | null = null;
  const offsets: SourceOffset[] = [];
  for (const gauges of all) {
    merged = merged === null ? gauges : mergeTwo(merged, gauges);
    for (const offset of gauges.offsets) offsets.push(offset);
  }
  return merged === null ? noGauges : { ...merged, offsets: furthest(offsets) };
}

/** One entry a source partition: who had it before says less of it. */
function furthest(offsets: readonly SourceOffset[]): readonly SourceOffset[] {
  const byPlace = new Map<string, SourceOffset>();
  for (const offset of offsets) {
    const name = `${offset.source}/${offset.partition}`;
    if (offset.to >= (byPlace.get(name)?.to ?? 0)) byPlace.set(name, offset);
  }
  return [...byPlace.values()];
}

/** The gauges of a worker that is gone. */
export function countsOf(gauges: WorkerGauges): WorkerGauges {
  const { recordsIn, recordsBad, recordsLate, bytesIn, rowsOut, offsets } = gauges;
  const counts = { recordsIn, recordsBad, recordsLate, bytesIn, rowsOut, offsets };
  return { ...noGauges, watermarkMs: Infinity, ...counts };
}

/** All but the offsets, which would be copied again and again. */
function mergeTwo(a: WorkerGauges, b: WorkerGauges): WorkerGauges {
  return {
    ...a,
    recordsIn: a.recordsIn + b.recordsIn,
    recordsBad: a.recordsBad + b.recordsBad,
    recordsLate: a.recordsLate + b.recordsLate,
    bytesIn: a.bytesIn + b.bytesIn,
    rowsOut: a.rowsOut + b.rowsOut,
    watermarkMs: Math.min(a.watermarkMs, b.watermarkMs),
    lagRecords: sumKnown(a.lagRecords, b.lagRecords),
    lagBytes: sumKnown(a.lagBytes, b.lagBytes),
    lagMs: maxKnown(a.lagMs, b.lagMs),
    stateBytes: a.stateBytes + b.stateBytes,
    heapBytes: a.heapBytes + b.heapBytes,
  };
}

export function sumKnown(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return a + b;
}

export function maxKnown(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.max(a, b);
}
