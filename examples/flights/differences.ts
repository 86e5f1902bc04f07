// The check of the flights example: the same questions in SQL, asked of the Parquet file by DuckDB.

import { DuckDBInstance } from '@duckdb/node-api';
import type { Json } from '@duckdb/node-api';
import { parquetPath } from './flights-file.ts';
import type { AirportWeek, Week } from './terminal.ts';

/** Says in words where the pipeline's rows differ from DuckDB's. */
export async function differences(found: {
  readonly limit: number | null;
  readonly airportWeeks: readonly AirportWeek[];
  readonly weeks: readonly Week[];
}): Promise<readonly string[]> {
  const limited = found.limit === null ? '' : `LIMIT ${found.limit}`;
  const airportWeeks = `
    SELECT origin, epoch_ms(date_trunc('week', date)) AS week, count(*) AS flights,
      sum(distance) AS miles, avg(delay) AS mean, max(delay) AS longest
    FROM (SELECT * FROM '${parquetPath}' ${limited}) GROUP BY ALL`;
  // The mean delays rather than the names: two airports may have the same.
  const weeks = `
    SELECT week, count(*), sum(flights), max(longest), max(mean, 3)
    FROM (${airportWeeks}) WHERE flights >= 500 GROUP BY week`;

  const meanDelays = new Map(
    found.airportWeeks.map((row) => [`${row.origin} ${row.windowStart}`, row.meanDelay]),
  );
  const ours = [
    ...found.airportWeeks.map((row) => {
      const { origin, windowStart, flights, miles, meanDelay, maxDelay } = row;
      return [origin, windowStart, flights, miles, meanDelay, maxDelay];
    }),
    ...found.weeks.map(({ windowStart, airports, flights, maxDelay, mostDelayed }) => {
      const means = mostDelayed.map((origin) => meanDelays.get(`${origin} ${windowStart}`) ?? null);
      return [windowStart, airports, flights, maxDelay, means];
    }),
  ].map(text);
  const theirs = [...(await query(airportWeeks)), ...(await query(weeks))].map(text);
  return [
    ...ours.filter(notIn(theirs)).map((row) => `only the pipeline has ${row}`),
    ...theirs.filter(notIn(ours)).map((row) => `only DuckDB has ${row}`),
    ...(ours.length === theirs.length ? [] : ['the numbers of rows differ']),
  ];
}

async function query(sql: string): Promise<readonly Json[][]> {
  const connection = await (await DuckDBInstance.create()).connect();
  try {
    return (await connection.runAndReadAll(sql)).getRowsJson();
  } finally {
    connection.closeSync();
  }
}

/** DuckDB gives 64-bit integers as texts, and its mean may be a rounding away. */
function text(row: readonly unknown[]): string {
  return row
    .flat()
    .map((cell) => (cell === '' || Number.isNaN(Number(cell)) ? cell : Number(cell).toFixed(6)))
    .join(' ');
}

function notIn(rows: readonly string[]): (row: string) => boolean {
  const known = new Set(rows);
  return (row) => !known.has(row);
}
