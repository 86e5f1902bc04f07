// Which operator, source or sink of a changed plan is which of the plan before. A name that the
// user gave is a promise: it is the same as before. An id that counts (`aggregate#1`) shifts when
// another comes before it, so what it stands for is found by what it is.

export type Matchable = {
  readonly id: string;
  /** What it is, without its id; equal contents are interchangeable. */
  readonly content: string;
};

/** Whether the id counts; users cannot give such names. */
export function isCounted(id: string): boolean {
  return id.includes('#');
}

/**
 * By id of now: the id before. `mayBe` can rule pairs out. What has no counterpart of the same
 * content is left out; what has several, too.
 */
export function matchItems(
  before: readonly Matchable[],
  now: readonly Matchable[],
  mayBe: (before: string, now: string) => boolean = () => true,
): Map<string, string> {
  const matched = new Map<string, string>();
  const isFree = ({ id }: Matchable): boolean => ![...matched.values()].includes(id);
  for (const { id, content } of now) {
    const same = before.find((other) => other.id === id && other.content === content);
    if (same !== undefined && mayBe(same.id, id)) matched.set(id, id);
  }
  const names = new Set(before.map(({ id }) => id));
  const open = now.filter(({ id }) => {
    return !matched.has(id) && (isCounted(id) || !names.has(id));
  });
  const left = before.filter((item) => isFree(item) && isCounted(item.id));
  for (const { id, content } of open) {
    const alike = left.filter((item) => item.content === content && mayBe(item.id, id));
    const rivals = open.filter((item) => {
      return item.content === content && alike.some((other) => mayBe(other.id, item.id));
    });
    if (alike.length === 1 && rivals.length === 1) matched.set(id, alike[0]!.id);
  }
  return matched;
}
