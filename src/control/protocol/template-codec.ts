// A template on the wire. What is read refers only to what is there, so that a worker can use it
// as it uses one from its own process.

import { partitionsMax, stagesMax, textBytesMax, workersMax } from '../limits.ts';
import type { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import type { PlacementVersion, WorkerId } from './ids.ts';
import type { Template, TemplateExchange, TemplateStage } from './template.ts';
import { isRoutedWell } from './template.ts';

export function writeTemplate(to: ByteWriter, template: Template): void {
  to.varint(template.version);
  to.text(template.planHash, textBytesMax);
  to.flag(template.delivery === 'pull');
  to.f64(template.partMs ?? 0);
  to.varint(template.exchanges.length);
  for (const { from, to: target, fanIn } of template.exchanges) {
    to.varint(from);
    to.varint(target);
    to.varint(fanIn ?? 0);
  }
  to.varint(template.stages.length);
  for (const stage of template.stages) {
    to.flag(stage.source);
    writeNumbers(to, stage.inputs);
    writeNumbers(to, stage.outputs);
    writeNumbers(to, stage.placement);
  }
}

export function readTemplate(from: ByteReader): Template {
  const version = from.varint('placement version') as PlacementVersion;
  const planHash = from.text('plan hash', textBytesMax);
  const delivery = from.flag('delivery') ? 'pull' : 'push';
  const parts = from.f64('part time');
  const partMs = parts > 0 ? parts : null;
  const exchanges: TemplateExchange[] = [];
  const exchangeCount = from.count('exchanges', stagesMax);
  for (let index = 0; index < exchangeCount && from.ok; index++) {
    const producer = from.varint('exchange', stagesMax);
    const to = from.varint('exchange', stagesMax);
    const fanIn = from.varint('fan-in', partitionsMax);
    exchanges.push({ from: producer, to, ...(fanIn === 0 ? {} : { fanIn }) });
  }
  const stages: TemplateStage[] = [];
  const stageCount = from.count('stages', stagesMax);
  for (let index = 0; index < stageCount && from.ok; index++) {
    const source = from.flag('source stage');
    const inputs = readNumbers(from, 'input exchanges', { count: stagesMax, value: stagesMax });
    const outputs = readNumbers(from, 'output exchanges', { count: stagesMax, value: stagesMax });
    const placement = readNumbers(from, 'placement', { count: partitionsMax, value: workersMax });
    stages.push({ source, inputs, outputs, placement: placement as readonly WorkerId[] });
  }
  const template: Template = { version, planHash, delivery, partMs, exchanges, stages };
  if (from.ok && !isConsistent(template)) from.refuse('inconsistent', 'template');
  return template;
}

function isConsistent({ stages, exchanges }: Template): boolean {
  return (
    exchanges.every(({ from, to }) => from < to && to < stages.length) &&
    stages.every(
      ({ source, inputs, outputs, placement }, id) =>
        placement.length > 0 &&
        source === (inputs.length === 0) &&
        inputs.every((exchange) => exchanges[exchange]?.to === id) &&
        outputs.every((exchange) => exchanges[exchange]?.from === id),
    ) &&
    isRoutedWell({ stages, exchanges })
  );
}

export function writeNumbers(to: ByteWriter, numbers: readonly number[]): void {
  to.varint(numbers.length);
  for (const number of numbers) to.varint(number);
}

export function readNumbers(
  from: ByteReader,
  what: string,
  max: { readonly count: number; readonly value: number },
): readonly number[] {
  const numbers: number[] = [];
  const count = from.count(what, max.count);
  for (let index = 0; index < count && from.ok; index++) {
    numbers.push(from.varint(what, max.value));
  }
  return numbers;
}
