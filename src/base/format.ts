// Numbers as people read them. Pure text, no locale: the same everywhere.

/** `1234567.8` → `1,234,568`. */
export function formatCount(value: number): string {
  if (!Number.isFinite(value)) return '–';
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');
}

/** Milliseconds with a unit that fits: `0.42 ms`, `12.3 ms`, `1.50 s`, `2 min 5 s`. */
export function formatMs(ms: number): string {
  if (!Number.isFinite(ms)) return '–';
  const size = Math.abs(ms);
  if (size < 10) return `${ms.toFixed(2)} ms`;
  if (size < 1000) return `${ms.toFixed(1)} ms`;
  if (size < 120_000) return `${(ms / 1000).toFixed(2)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

/** `1536` → `1.5 KiB`. */
export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

/** Epoch ms as `2026-01-31T10:20:30.400Z`; the ends of time have names. */
export function formatTime(epochMs: number | null): string {
  if (epochMs === null || epochMs === -Infinity) return 'none yet';
  if (epochMs === Infinity) return 'end of input';
  return new Date(epochMs).toISOString();
}

/** Rows of cells as lines; columns that hold numbers only are flush right. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const numeric = head.map((_, at) => rows.every((row) => /^[-\d.,–]*$/.test(row[at] ?? '')));
  const widths = head.map((cell, at) =>
    Math.max(cell.length, ...rows.map((row) => (row[at] ?? '').length)),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, at) =>
        numeric[at] === true ? cell.padStart(widths[at]!) : cell.padEnd(widths[at]!),
      )
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '─'.repeat(width)).join('  ');
  return [line(head), rule, ...rows.map(line)].join('\n');
}
