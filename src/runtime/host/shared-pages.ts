// Where blocks live: pages of shared memory, filled from the front. A block is a view; threads hand
// it over by reference, and a page is freed when its last view is. Nothing is ever copied or moved.

import type { Allocate } from '../../data/task/task.ts';

/** Small enough that one long-lived block holds back little, large enough to be rarely made. */
const pageBytes = 256 * 1024;

export function sharedPages(): Allocate {
  let page = new SharedArrayBuffer(0);
  let used = 0;
  return (byteLength) => {
    if (byteLength > pageBytes / 4) return new Uint8Array(new SharedArrayBuffer(byteLength));
    if (used + byteLength > page.byteLength) {
      page = new SharedArrayBuffer(pageBytes);
      used = 0;
    }
    const block = new Uint8Array(page, used, byteLength);
    used = (used + byteLength + 7) & ~7;
    return block;
  };
}
