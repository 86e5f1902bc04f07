// A job of one stage without data: four source tasks a worker in each micro-batch, no exchange.

import { collect, pipeline, schema, string } from '../../src/index.ts';
import { endless } from '../endless-source.ts';

export const tasksPerWorker = 4;

export const idleOneStage = pipeline('one-stage')
  .from(endless(schema({ key: string() }), tasksPerWorker))
  .to(collect());

export default idleOneStage;
