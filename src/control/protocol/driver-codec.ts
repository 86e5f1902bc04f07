// The bytes of what the driver says to workers; the table of all frames is in docs/protocol.md.
// Decoding gives a value or a typed refusal and never throws.
//
// v: varint · b+1: varint of a micro-batch number plus one · f64, u8: fixed · text: v length, UTF-8
//
// | first byte | message          | then                                                         |
// | ---------- | ---------------- | ------------------------------------------------------------ |
// | 1          | install-template | v term, template (template-codec.ts)                         |
// | 2          | start-group      | v term, v version, v group, b+1 first, v count, f64          |
// |            |                  | interval, f64 anchor, b+1 reportAt, b+1 retire, u8 final,    |
// |            |                  | v stage + 1 (0: all), b+1 checkpointAt                       |
// | 3          | ask-cut          | v term, v cut, b+1 from                                      |
// | 4          | set-boundary     | v term, v cut, b+1 end                                       |
// | 5          | stop             | v term                                                       |
// | 6          | locations        | v term, b+1 batch, v exchange, v count, v each worker        |
// | 7          | ask-status       | v term, v round, u8 moves, v count, for each member: v      |
// |            |                  | worker, v incarnation                                        |
// | 8          | recover          | v term, recovery (recovery-codec.ts)                         |
// | 9          | hold-back        | v term, v change, u8 holds back                              |

import { unreachable } from '../../base/assert.ts';
import { groupSizeMax, stagesMax, workersMax } from '../limits.ts';
import type { Decoded } from './byte-reader.ts';
import { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import type { MessageCodecs } from './handle-codec.ts';
import type { GroupId, PlacementVersion, Term, WorkerId } from './ids.ts';
import { noBatch } from './ids.ts';
import {
  readBatchNumber,
  readDuration,
  readFinite,
  readLife,
  readList,
  readNumbers,
  unknownKind,
  writeBatchNumber,
  writeLife,
  writeList,
  writeNumbers,
} from './message-fields.ts';
import type { DriverMessage, StartGroup } from './messages.ts';
import { readRecovery, writeRecovery } from './recovery-codec.ts';
import { readTemplate, writeTemplate } from './template-codec.ts';

export function writeDriverMessage(
  to: ByteWriter,
  message: DriverMessage,
  codecs: MessageCodecs,
): void {
  to.u8(driverKinds[message.kind]);
  to.varint(message.term);
  switch (message.kind) {
    case 'install-template':
      return writeTemplate(to, message.template);
    case 'start-group':
      return writeStartGroup(to, message);
    case 'ask-cut':
      to.varint(message.cut);
      return writeBatchNumber(to, message.from);
    case 'set-boundary':
      to.varint(message.cut);
      return writeBatchNumber(to, message.end);
    case 'stop':
      return;
    case 'locations':
      writeBatchNumber(to, message.batch);
      to.varint(message.exchange);
      return writeNumbers(to, message.workers);
    case 'ask-status':
      to.varint(message.round);
      to.flag(message.moves);
      return writeList(to, message.members, (life) => writeLife(to, life));
    case 'recover':
      return writeRecovery(to, message.recovery, codecs);
    case 'hold-back':
      to.varint(message.change);
      return to.flag(message.holdsBack);
    default:
      unreachable(message);
  }
}

const driverKinds: { readonly [Kind in DriverMessage['kind']]: number } = {
  'install-template': 1,
  'start-group': 2,
  'ask-cut': 3,
  'set-boundary': 4,
  stop: 5,
  locations: 6,
  'ask-status': 7,
  recover: 8,
  'hold-back': 9,
};

export function readDriverMessage(
  bytes: Uint8Array,
  codecs: MessageCodecs,
): Decoded<DriverMessage> {
  const from = new ByteReader(bytes);
  const kind = from.u8('message kind');
  const term = from.varint('term') as Term;
  switch (kind) {
    case 1:
      return from.finish({ kind: 'install-template', term, template: readTemplate(from) });
    case 2:
      return from.finish(readStartGroup(from, term));
    case 3: {
      const cut = from.varint('cut');
      return from.finish({ kind: 'ask-cut', term, cut, from: readBatchNumber(from, 'cut') });
    }
    case 4: {
      const cut = from.varint('cut');
      return from.finish({ kind: 'set-boundary', term, cut, end: readBatchNumber(from, 'end') });
    }
    case 5:
      return from.finish({ kind: 'stop', term });
    case 6: {
      const batch = readBatchNumber(from, 'micro-batch');
      const exchange = from.varint('exchange', stagesMax);
      const numbers = readNumbers(from, 'workers', { count: workersMax, value: workersMax });
      const workers = numbers as readonly WorkerId[];
      return from.finish({ kind: 'locations', term, batch, exchange, workers });
    }
    case 7: {
      const round = from.varint('round');
      const moves = from.flag('moves');
      const members = readList(from, { what: 'members', max: workersMax }, () => readLife(from));
      return from.finish({ kind: 'ask-status', term, round, members, moves });
    }
    case 8:
      return from.finish({ kind: 'recover', term, recovery: readRecovery(from, codecs) });
    case 9: {
      const change = from.varint('change');
      return from.finish({ kind: 'hold-back', term, change, holdsBack: from.flag('holds back') });
    }
    default:
      return unknownKind(from);
  }
}

function writeStartGroup(to: ByteWriter, order: StartGroup): void {
  to.varint(order.version);
  to.varint(order.group);
  writeBatchNumber(to, order.first);
  to.varint(order.count);
  to.f64(order.intervalMs);
  to.f64(order.anchorMs);
  writeBatchNumber(to, order.reportAt);
  writeBatchNumber(to, order.retireThrough);
  to.flag(order.final);
  to.varint(order.stage === null ? 0 : order.stage + 1);
  writeBatchNumber(to, order.checkpointAt);
}

function readStartGroup(from: ByteReader, term: Term): StartGroup {
  const order: StartGroup = {
    kind: 'start-group',
    term,
    version: from.varint('placement version') as PlacementVersion,
    group: from.varint('group') as GroupId,
    first: readBatchNumber(from, 'first micro-batch'),
    count: from.varint('micro-batches', groupSizeMax),
    intervalMs: readDuration(from, 'interval'),
    anchorMs: readFinite(from, 'anchor'),
    reportAt: readBatchNumber(from, 'micro-batch to report at'),
    retireThrough: readBatchNumber(from, 'micro-batch to retire'),
    final: from.flag('final'),
    stage: readStageOrAll(from),
    checkpointAt: readBatchNumber(from, 'micro-batch of a checkpoint'),
  };
  const { first, count, checkpointAt } = order;
  const isOfGroup = first <= checkpointAt && checkpointAt < first + count;
  if (checkpointAt !== noBatch && !isOfGroup) from.refuse('inconsistent', 'checkpoint');
  return order;
}

function readStageOrAll(from: ByteReader): number | null {
  const number = from.varint('stage', stagesMax);
  return number === 0 ? null : number - 1;
}
