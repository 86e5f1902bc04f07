// The real file system, one step of a process at a time. What goes to the disk is a step that does
// nothing: the tests lose processes, not power.

import { fileOperations } from './file-operations.ts';
import type { FileOperations, OpenFile } from './file-operations.ts';
import type { HaltingProcess } from '../../testing/halting-process.ts';

export function haltingFiles(process: HaltingProcess): FileOperations {
  const real = fileOperations;
  return {
    makeFolders: (path) => process.step(() => real.makeFolders(path)),
    makeFolder: (path) => process.step(() => real.makeFolder(path)),
    list: (path) => process.step(() => real.list(path)),
    open: (path, how) => process.step(async () => haltingFile(process, await real.open(path, how))),
    rename: (from, to) => process.step(() => real.rename(from, to)),
    renameNow: (from, to) => process.stepNow(() => real.renameNow(from, to)),
    removeNow: (path) => process.stepNow(() => real.removeNow(path)),
    remove: (path) => process.step(() => real.remove(path)),
    syncFolder: () => process.step(() => Promise.resolve()),
    length: (path) => real.length(path),
    exists: (path) => real.exists(path),
  };
}

function haltingFile(process: HaltingProcess, file: OpenFile): OpenFile {
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (isOpen) await file.close();
    isOpen = false;
  };
  process.onDeath(() => void close());
  return {
    write(bytes, position) {
      const half = (): Promise<void> => file.write(bytes.subarray(0, bytes.length >> 1), position);
      return process.step(() => file.write(bytes, position), half);
    },
    truncate: (length) => process.stepNow(() => file.truncate(length)),
    sync: () => process.step(() => Promise.resolve()),
    close: () => process.step(close),
  };
}
