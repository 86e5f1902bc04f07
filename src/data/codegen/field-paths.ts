// The tree of the paths that a scan reads: which members of an object matter, and what they hold.

import type { Field } from '../../schema/data-type.ts';

export type PathNode = {
  /** 0 for the record itself; the others are counted from 1 in order of creation. */
  readonly id: number;
  readonly key: string;
  readonly keyBytes: Uint8Array;
  /** Indices of the fields whose path ends here: two names may have one path. */
  readonly fields: number[];
  readonly children: PathNode[];
  /** Indices of the fields that end here or deeper. */
  readonly within: number[];
};

export type PathTree = { readonly root: PathNode; readonly nodes: readonly PathNode[] };

export function pathTree(fields: readonly Field[]): PathTree {
  const nodes: PathNode[] = [];
  const add = (key: string): PathNode => {
    const keyBytes = new TextEncoder().encode(key);
    const node = { id: nodes.length, key, keyBytes, fields: [], children: [], within: [] };
    nodes.push(node);
    return node;
  };
  const root = add('');
  for (const [index, field] of fields.entries()) {
    let node = root;
    node.within.push(index);
    for (const key of field.path) {
      let child = node.children.find((other) => other.key === key);
      if (child === undefined) {
        child = add(key);
        node.children.push(child);
      }
      node = child;
      node.within.push(index);
    }
    node.fields.push(index);
  }
  return { root, nodes };
}
