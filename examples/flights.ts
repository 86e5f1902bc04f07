// Real data: three million flights in the United States, January to June 2001. The delays of every
// airport and week, and for every week the airports with the longest ones. DuckDB checks them.
// Run it by `npm run example flights.ts`; `-- flights.ts --limit 100000` takes the first only.

import {
  avg,
  collect,
  count,
  files,
  int32,
  max,
  pipeline,
  runInTerminal,
  schema,
  string,
  sum,
  timestamp,
  topK,
  tumbling,
} from '../src/index.ts';
import { differences } from './flights/differences.ts';
import { flightCount, flightsFile } from './flights/flights-file.ts';
import { limitOption, weekTable } from './flights/terminal.ts';
import type { AirportWeek, Week } from './flights/terminal.ts';

const limit = limitOption(process.argv.slice(2));

// The data set comes as Parquet; a stream is made of it once. Worker threads run this module, too.
const path = await flightsFile(limit);

const Flight = schema({
  date: timestamp('iso'),
  delay: int32(), // minutes; negative: early
  distance: int32(), // miles
  origin: string(),
  destination: string(),
});

// Windows start at multiples of their size since 1970, which began on a Thursday.
const mondayToSunday = tumbling('7d', { offset: '4d' });

const airportWeeks = pipeline('flights')
  .from(files({ path, schema: Flight }), { time: 'date' })
  .groupBy('origin')
  .window(mondayToSunday)
  .aggregate((e) => ({
    flights: count(),
    miles: sum(e.distance),
    meanDelay: avg(e.delay),
    maxDelay: max(e.delay),
  }));

// Windows of windows: a window's row carries its time, so it can be windowed again.
const weeks = airportWeeks
  .filter((e) => e.flights.ge(500))
  .window(mondayToSunday)
  .aggregate((e) => ({
    airports: count(),
    flights: sum(e.flights),
    maxDelay: max(e.maxDelay),
    mostDelayed: topK(e.origin, { by: e.meanDelay, k: 3 }),
  }));

const byAirport = collect<AirportWeek>();
const byWeek = collect<Week>();
const flights = airportWeeks.to(byAirport).with(weeks.to(byWeek));

const summary = await runInTerminal(flights, { interval: 0 });

console.log(weekTable(byWeek.rows, byAirport.rows));
if (summary.recordsIn < Math.min(limit ?? Infinity, flightCount)) {
  console.log('check: none, because it was interrupted');
} else {
  const wrong = await differences({ limit, airportWeeks: byAirport.rows, weeks: byWeek.rows });
  const all = `all ${byAirport.rows.length} rows of airports and weeks`;
  if (wrong.length === 0) console.log(`check: DuckDB finds the same in the Parquet file, ${all}`);
  else console.log(`check: WRONG\n  ${wrong.slice(0, 10).join('\n  ')}`);
  process.exitCode = wrong.length === 0 ? 0 : 1;
}
