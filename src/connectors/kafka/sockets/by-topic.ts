// Requests and answers list partitions below their topics; the port lists them flat.

import type { AnswerReader } from './answer-reader.ts';
import type { RequestWriter } from './request-writer.ts';

/** In the order of the first of each. */
export function byTopic<Part extends { readonly topic: string }>(
  parts: readonly Part[],
): readonly (readonly [string, readonly Part[]])[] {
  return [...Map.groupBy(parts, ({ topic }) => topic)];
}

/** `write` writes all that is said of a partition, with the tagged fields where there are any. */
export function writeByTopic<Part extends { readonly topic: string }>(
  writer: RequestWriter,
  parts: readonly Part[],
  write: (part: Part) => void,
): void {
  writer.array(byTopic(parts), ([topic, own]) => {
    writer.text(topic).array(own, write).noTags();
  });
}

/** `read` reads what a partition's structure has, without its tagged fields. */
export function readByTopic<Item>(
  reader: AnswerReader,
  read: (topic: string) => Item,
): readonly Item[] {
  const topics = reader.array(() => {
    const topic = reader.text();
    const items = reader.array(() => {
      const item = read(topic);
      reader.skipTags();
      return item;
    });
    reader.skipTags();
    return items;
  });
  return topics.flat();
}
