// The bytes of an order to recover. What is read fits its own template and is consistent in itself,
// so that a worker can carry it out without asking again: places are there, ranges begin behind the
// checkpoint, whatever runs again has a range, and there is no more of it than can be counted off.
//
// v: varint · b+1: varint of a micro-batch number plus one · u8: fixed · place: v stage,
// v partition
//
// | field      | bytes                                                                           |
// | ---------- | ------------------------------------------------------------------------------- |
// | round      | v                                                                               |
// | template   | template-codec.ts                                                               |
// | checkpoint | b+1                                                                             |
// | end        | b+1                                                                             |
// | cut        | v                                                                               |
// | final      | u8                                                                              |
// | moved      | v count, each place                                                             |
// | snapshots  | v count, each place, snapshot, u8 has a range, range                            |
// | known      | v count, each place, b+1 first, v count, for each micro-batch v count, ranges   |
// | reruns     | v count, each place, v count, for each span b+1 first, b+1 end                  |
// | done       | v count, each v worker, b+1 through                                             |

import { placesMax, rangesMax, workersMax } from '../limits.ts';
import type { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import type { MessageCodecs } from './handle-codec.ts';
import type { WorkerId } from './ids.ts';
import { noBatch } from './ids.ts';
import {
  readBatchNumber,
  readKnownRanges,
  readList,
  readPlace,
  readSnapshots,
  readSpans,
  writeBatchNumber,
  writeKnownRanges,
  writeList,
  writePlace,
  writeSnapshots,
  writeSpans,
} from './message-fields.ts';
import type { Place } from './messages.ts';
import type { Recovery } from './recovery.ts';
import { readTemplate, writeTemplate } from './template-codec.ts';
import type { Template } from './template.ts';
import { workersIn } from './template.ts';

export function writeRecovery(to: ByteWriter, recovery: Recovery, codecs: MessageCodecs): void {
  to.varint(recovery.round);
  writeTemplate(to, recovery.template);
  writeBatchNumber(to, recovery.checkpoint);
  writeBatchNumber(to, recovery.end);
  to.varint(recovery.cut);
  to.flag(recovery.final);
  writeList(to, recovery.moved, (place) => writePlace(to, place));
  writeSnapshots(to, recovery.snapshots, codecs);
  writeKnownRanges(to, recovery.known, codecs.range);
  writeSpans(to, recovery.reruns);
  writeList(to, recovery.done, ({ worker, through }) => {
    to.varint(worker);
    writeBatchNumber(to, through);
  });
}

export function readRecovery(from: ByteReader, codecs: MessageCodecs): Recovery {
  const recovery: Recovery = {
    round: from.varint('round'),
    template: readTemplate(from),
    checkpoint: readBatchNumber(from, 'checkpoint'),
    end: readBatchNumber(from, 'end'),
    cut: from.varint('cut'),
    final: from.flag('final'),
    moved: readList(from, { what: 'moved partitions', max: placesMax }, () => readPlace(from)),
    snapshots: readSnapshots(from, codecs),
    known: readKnownRanges(from, codecs.range),
    reruns: readSpans(from, 'reruns'),
    done: readList(from, { what: 'survivors', max: workersMax }, () => {
      const worker = from.varint('survivor', workersMax) as WorkerId;
      return { worker, through: readBatchNumber(from, 'finished micro-batch') };
    }),
  };
  const wrong = from.ok ? inconsistency(recovery) : null;
  if (wrong !== null) from.refuse('inconsistent', wrong);
  return recovery;
}

/** What of an order contradicts the rest of it; null: nothing. */
function inconsistency(recovery: Recovery): string | null {
  const { template, checkpoint, end, moved } = recovery;
  if (end <= checkpoint) return 'end';
  const isThere = (place: Place): boolean => hasPlace(template, place);
  const isMoved = new Set<string>();
  for (const [index, place] of moved.entries()) {
    if (!isThere(place) || (index > 0 && !isBefore(moved[index - 1]!, place))) return 'moved';
    isMoved.add(nameOf(place));
  }
  const areMoved = (places: readonly Place[]): boolean =>
    areDistinct(places.map(nameOf)) && places.every((place) => isMoved.has(nameOf(place)));
  const again = new Set(recovery.reruns.map(nameOf));
  const isAnew = (name: string): boolean => isMoved.has(name) || again.has(name);
  const restored = recovery.snapshots.map(nameOf);
  if (!areDistinct(restored) || !restored.every(isAnew)) return 'snapshots';
  if (checkpoint === noBatch && recovery.snapshots.length > 0) return 'snapshots';
  if (!areMoved(recovery.known)) return 'known ranges';
  const ends = new Map<string, number>();
  for (const known of recovery.known) {
    if (!template.stages[known.stage]!.source || known.first !== checkpoint + 1) {
      return 'known ranges';
    }
    ends.set(nameOf(known), known.first + known.ranges.length);
  }
  if (!areDistinct(recovery.reruns.map(nameOf)) || !recovery.reruns.every(isThere)) return 'reruns';
  let tasks = 0;
  for (const rerun of recovery.reruns) {
    const name = nameOf(rerun);
    // Of a partition that has moved, ranges are known from here alone.
    const through = isMoved.has(name) ? (ends.get(name) ?? 0) : end;
    if (!template.stages[rerun.stage]!.source) return 'reruns';
    for (const span of rerun.spans) {
      if (span.first <= checkpoint || span.end > through) return 'reruns';
      tasks += span.end - span.first;
    }
  }
  if (tasks > rangesMax) return 'reruns';
  return areSurvivors(recovery) ? null : 'survivors';
}

/** Each once; and where state survives, whoever has a part of the work is one. */
function areSurvivors({ template, done }: Recovery): boolean {
  const workers = new Set(done.map(({ worker }) => worker));
  if (workers.size < done.length) return false;
  return template.reach !== 'lost' || workersIn(template).every((worker) => workers.has(worker));
}

function hasPlace({ stages }: Template, { stage, partition }: Place): boolean {
  return stages[stage] !== undefined && partition < stages[stage].placement.length;
}

function isBefore(a: Place, b: Place): boolean {
  return a.stage < b.stage || (a.stage === b.stage && a.partition < b.partition);
}

function areDistinct(names: readonly string[]): boolean {
  return new Set(names).size === names.length;
}

function nameOf({ stage, partition }: Place): string {
  return `${stage}/${partition}`;
}
