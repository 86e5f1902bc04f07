// A pipeline over a topic that threads read: the broker comes from the environment.

import { kafkaSource } from '../../src/connectors/kafka/sockets/kafka.ts';
import { collect, count, int32, pipeline, schema, sum } from '../../src/index.ts';

export const sums = collect<{
  readonly n: number;
  readonly records: number;
  readonly total: number;
}>();

export const summing = pipeline('summing')
  .from(
    kafkaSource({
      brokers: { env: 'MIZZLE_TEST_BROKERS' },
      topic: 'threads',
      until: 'latest',
      schema: schema({ n: int32() }),
    }),
  )
  .groupBy('n')
  .aggregate((e) => ({ records: count(), total: sum(e.n) }))
  .to(sums);

export default summing;
