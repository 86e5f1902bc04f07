// A template on the wire. What is read refers only to what is there, so that a worker can use it
// without checking again.
//
// v: varint · f64, u8: fixed · text: v length, UTF-8 · list: v count, each v
//
// | field     | bytes                                                                            |
// | --------- | -------------------------------------------------------------------------------- |
// | version   | v                                                                                |
// | plan hash | text                                                                             |
// | delivery  | u8 (0 push, 1 pull)                                                              |
// | part time | f64 (0: no parts)                                                                |
// | reach     | u8 (0 none, 1 lost, 2 all)                                                       |
// | exchanges | v count, each v from, v to                                                       |
// | stages    | v count, each u8 source, u8 sinks, lists of inputs, outputs and each partition's |
// |           | worker                                                                           |
// | backups   | v count, each v of, v at                                                         |

import { partitionsMax, placesMax, stagesMax, textBytesMax, workersMax } from '../limits.ts';
import type { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import type { PlacementVersion, WorkerId } from './ids.ts';
import { readList, readNumbers, writeList, writeNumbers } from './message-fields.ts';
import type { Backup, Reach, Template, TemplateExchange, TemplateStage } from './template.ts';

const reaches: readonly Reach[] = ['none', 'lost', 'all'];
import { isRoutedWell } from './template.ts';

export function writeTemplate(to: ByteWriter, template: Template): void {
  to.varint(template.version);
  to.text(template.planHash, textBytesMax);
  to.flag(template.delivery === 'pull');
  to.f64(template.partMs ?? 0);
  to.u8(reaches.indexOf(template.reach));
  writeList(to, template.exchanges, (exchange) => {
    to.varint(exchange.from);
    to.varint(exchange.to);
    to.varint(exchange.fanIn ?? 0);
  });
  writeList(to, template.stages, (stage) => {
    to.flag(stage.source);
    to.flag(stage.sinks);
    writeNumbers(to, stage.inputs);
    writeNumbers(to, stage.outputs);
    writeNumbers(to, stage.placement);
  });
  writeList(to, template.backups, ({ of, at }) => {
    to.varint(of);
    to.varint(at);
  });
}

export function readTemplate(from: ByteReader): Template {
  const template: Template = {
    version: from.varint('placement version') as PlacementVersion,
    planHash: from.text('plan hash', textBytesMax),
    delivery: from.flag('delivery') ? 'pull' : 'push',
    partMs: readPartMs(from),
    reach: readReach(from),
    exchanges: readList(from, { what: 'exchanges', max: stagesMax }, () => readExchange(from)),
    stages: readList(from, { what: 'stages', max: stagesMax }, () => readStage(from)),
    backups: readList(from, { what: 'backups', max: workersMax }, () => readBackup(from)),
  };
  if (from.ok && !isConsistent(template)) from.refuse('inconsistent', 'template');
  return template;
}

function readPartMs(from: ByteReader): number | null {
  const partMs = from.f64('part time');
  if (!(partMs >= 0 && partMs < Infinity)) from.refuse('out-of-range', 'part time');
  return partMs > 0 ? partMs : null;
}

function readReach(from: ByteReader): Reach {
  const reach = reaches[from.u8('reach')];
  if (reach === undefined) from.refuse('out-of-range', 'reach');
  return reach ?? 'none';
}

function readExchange(from: ByteReader): TemplateExchange {
  const producer = from.varint('exchange', stagesMax);
  const to = from.varint('exchange', stagesMax);
  const fanIn = from.varint('fan-in', partitionsMax);
  return { from: producer, to, ...(fanIn === 0 ? {} : { fanIn }) };
}

function readStage(from: ByteReader): TemplateStage {
  const source = from.flag('source stage');
  const sinks = from.flag('stage with sinks');
  const inputs = readNumbers(from, 'input exchanges', { count: stagesMax, value: stagesMax });
  const outputs = readNumbers(from, 'output exchanges', { count: stagesMax, value: stagesMax });
  const placement = readNumbers(from, 'placement', { count: partitionsMax, value: workersMax });
  return { source, sinks, inputs, outputs, placement: placement as readonly WorkerId[] };
}

function readBackup(from: ByteReader): Backup {
  const of = from.varint('worker', workersMax) as WorkerId;
  const at = from.varint('worker', workersMax) as WorkerId;
  return { of, at };
}

/** Each exchange is an output of one stage and an input of a later one, once. */
function isConsistent({ stages, exchanges, backups }: Template): boolean {
  let inputs = 0;
  let outputs = 0;
  let places = 0;
  for (const stage of stages) {
    inputs += stage.inputs.length;
    outputs += stage.outputs.length;
    places += stage.placement.length;
  }
  return (
    places <= placesMax &&
    inputs === exchanges.length &&
    outputs === exchanges.length &&
    exchanges.every(({ from, to }) => from < to && to < stages.length) &&
    stages.every((stage, id) => isStage(stage, { id, exchanges })) &&
    isRoutedWell({ stages, exchanges }) &&
    backups.every(({ of, at }, index) => of !== at && of > (backups[index - 1]?.of ?? -1))
  );
}

function isStage(
  { source, inputs, outputs, placement }: TemplateStage,
  of: { readonly id: number; readonly exchanges: readonly TemplateExchange[] },
): boolean {
  return (
    placement.length > 0 &&
    source === (inputs.length === 0) &&
    new Set(inputs).size === inputs.length &&
    new Set(outputs).size === outputs.length &&
    inputs.every((exchange) => of.exchanges[exchange]?.to === of.id) &&
    outputs.every((exchange) => of.exchanges[exchange]?.from === of.id)
  );
}
