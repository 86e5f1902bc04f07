// Ends a worker's thread as a mistake in it would: whoever started it sees that it is lost.

export function endThread(error: unknown): void {
  // Outside of every promise and handler, nobody catches it.
  setImmediate(() => {
    throw error;
  });
}
