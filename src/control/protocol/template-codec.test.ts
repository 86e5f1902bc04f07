// A template on the wire: one that contradicts itself is refused, because a worker uses it as it
// comes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { placesMax } from '../limits.ts';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import type { PlacementVersion, WorkerId } from './ids.ts';
import { readTemplate, writeTemplate } from './template-codec.ts';
import type { Template, TemplateStage } from './template.ts';

const w1 = 1 as WorkerId;
const source: TemplateStage = {
  source: true,
  inputs: [],
  outputs: [0],
  sinks: false,
  placement: [w1],
};
const sink: TemplateStage = {
  source: false,
  inputs: [0],
  outputs: [],
  sinks: true,
  placement: [w1],
};
const template: Template = {
  version: 3 as PlacementVersion,
  backups: [],
  planHash: 'p',
  delivery: 'push',
  partMs: null,
  reach: 'lost',
  exchanges: [{ from: 0, to: 1 }],
  stages: [source, sink],
};

function sent(changed: Partial<Template>): ReturnType<ByteReader['finish']> {
  const writer = new ByteWriter();
  writeTemplate(writer, { ...template, ...changed });
  const reader = new ByteReader(Buffer.concat(writer.finish()));
  return reader.finish(readTemplate(reader));
}

const contradictions: Readonly<Record<string, Partial<Template>>> = {
  'an exchange to a stage that is not there': { exchanges: [{ from: 0, to: 7 }] },
  'an exchange that leads backwards': { exchanges: [{ from: 1, to: 0 }] },
  'a stage without a partition': { stages: [{ ...source, placement: [] }, sink] },
  'a source with inputs': { stages: [source, { ...sink, source: true }] },
  'a stage that reads nothing': {
    exchanges: [],
    stages: [
      { ...source, outputs: [] },
      { ...sink, inputs: [] },
    ],
  },
  'an exchange that nobody writes': { stages: [{ ...source, outputs: [] }, sink] },
  'an exchange that nobody reads': {
    stages: [source, { ...sink, source: true, inputs: [] }],
  },
  'an exchange that is read twice': { stages: [source, { ...sink, inputs: [0, 0] }] },
  'an output that is not there': { stages: [{ ...source, outputs: [0, 1] }, sink] },
  'more partitions than a recovery may list': {
    exchanges: [],
    stages: Array.from({ length: 17 }, () => ({
      ...source,
      outputs: [],
      placement: new Array<WorkerId>(placesMax / 16).fill(w1),
    })),
  },
};

for (const [what, changed] of Object.entries(contradictions)) {
  test(`a template is refused with ${what}`, () => {
    const decoded = sent(changed);
    assert.ok(!decoded.ok && decoded.refusal.reason === 'inconsistent', JSON.stringify(decoded));
  });
}

test('a template is read as it was written, and times of parts are times', () => {
  assert.deepEqual(sent({}), { ok: true, value: template });
  for (const partMs of [NaN, -1, Infinity]) {
    const decoded = sent({ partMs });
    assert.ok(!decoded.ok && decoded.refusal.reason === 'out-of-range');
  }
});
