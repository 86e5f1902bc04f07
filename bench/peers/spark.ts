// Apache Spark Structured Streaming on a standalone master and two workers (docs/peers.md): in
// micro-batches on end with results once windows close or with updates, or in real-time mode.

import type { ChildProcess } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type { Engine, YsbJob } from './engine.ts';
import { environmentOf } from './engine.ts';
import type { PeersHome } from './home.ts';
import { localJson } from './ports.ts';
import { commandLineOf, processTree } from './process-tree.ts';
import type { Processes } from './processes.ts';
import { freePorts, hasEnded, until } from './processes.ts';

type Mode = 'append' | 'update' | 'rtm';

const workers = 2;
/**
 * Real-time mode wants a slot for each task of each stage at once: four partitions of the input and
 * two of the shuffle.
 */
const realTimeCores = 3;

const modes = {
  append: { name: 'spark', results: 'closed' },
  update: { name: 'spark-update', results: 'revised' },
  rtm: { name: 'spark-rtm', results: 'one a view' },
} as const;

const logging = `rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1}: %m%n
`;

export class SparkEngine implements Engine {
  readonly name;
  readonly guarantee = 'at-least-once';
  readonly results;
  readonly #home: PeersHome;
  readonly #processes: Processes;
  readonly #mode: Mode;
  readonly #started: string;
  readonly #config: string;
  #master = '';
  #members: ChildProcess[] = [];
  #driver: ChildProcess | null = null;

  constructor(home: PeersHome, processes: Processes, mode: Mode) {
    this.#home = home;
    this.#processes = processes;
    this.#mode = mode;
    this.name = modes[mode].name;
    this.results = modes[mode].results;
    this.#started = join(processes.folder, 'spark-started');
    this.#config = join(processes.folder, 'spark-config');
  }

  async startCluster(): Promise<boolean> {
    const [port, page] = await freePorts(2);
    mkdirSync(this.#config, { recursive: true });
    writeFileSync(join(this.#config, 'log4j2.properties'), logging);
    this.#master = `spark://127.0.0.1:${port}`;
    const prefix = 'org.apache.spark.deploy';
    const start = (name: string, args: readonly string[]): ChildProcess =>
      this.#processes.start(name, {
        program: this.#home.path('spark', 'bin', 'spark-class'),
        args,
        env: { ...this.#environment, SPARK_DAEMON_MEMORY: '512m' },
      });
    const where = ['--host', '127.0.0.1', '--port', `${port}`, '--webui-port', `${page}`];
    this.#members = [start('spark-master', [`${prefix}.master.Master`, ...where])];
    for (let worker = 0; worker < workers; worker++) {
      const size = ['--cores', `${this.#cores}`, '--memory', '3g', '--webui-port', '0'];
      const folder = ['--work-dir', join(this.#processes.folder, 'spark-work')];
      const options = ['--host', '127.0.0.1', ...size, ...folder, this.#master];
      this.#members.push(start('spark-worker', [`${prefix}.worker.Worker`, ...options]));
    }
    await until("Spark's workers", 60, async () => {
      const said = (await localJson(page!, '/json/')) as { aliveworkers: number } | null;
      return said?.aliveworkers === workers ? true : null;
    });
    return true;
  }

  async submit(job: YsbJob): Promise<void> {
    rmSync(this.#started, { force: true });
    const checkpoints = join(this.#processes.folder, 'spark-checkpoints');
    rmSync(checkpoints, { recursive: true, force: true });
    const settings = {
      'spark.executor.cores': this.#cores,
      'spark.executor.memory': '2g',
      'spark.sql.shuffle.partitions': 2,
      'spark.locality.wait': 0,
      'spark.driver.host': '127.0.0.1',
      'spark.driver.bindAddress': '127.0.0.1',
      'spark.ui.enabled': false,
    };
    const flags = Object.entries(settings).flatMap(([key, value]) => ['--conf', `${key}=${value}`]);
    const where = ['--master', this.#master, '--driver-memory', '1g'];
    const jars = globSync(this.#home.path('spark-kafka', '*.jar')).join(',');
    this.#driver = this.#processes.start('spark-driver', {
      program: this.#home.path('spark', 'bin', 'spark-submit'),
      args: [...where, ...flags, '--jars', jars, '--class', 'SparkYsb', this.#home.jarOf('spark')],
      env: {
        ...this.#environment,
        ...environmentOf(job),
        MODE: this.#mode,
        CHECKPOINTS: checkpoints,
        STARTED: this.#started,
      },
    });
    await Promise.resolve();
  }

  processingSince(): Promise<number | null> {
    if (this.#driver !== null && hasEnded(this.#driver)) {
      throw new Error(`Spark's driver has ended: see ${this.#processes.logOf('spark-driver')}`);
    }
    const text = existsSync(this.#started) ? readFileSync(this.#started, 'utf8') : '';
    return Promise.resolve(text.endsWith('\n') ? Number(text) : null);
  }

  roots(): readonly number[] {
    const all = this.#driver === null ? this.#members : [...this.#members, this.#driver];
    return all.map(({ pid }) => pid!);
  }

  /** Its worker starts another executor by itself. */
  killWorker(): Promise<void> {
    const executor = [...processTree(this.roots()).keys()]
      .toSorted((a, b) => a - b)
      .find((pid) => /java .*CoarseGrainedExecutorBackend/.test(commandLineOf(pid)));
    if (executor === undefined) throw new Error('Spark has no executor to kill');
    process.kill(executor, 'SIGKILL');
    return Promise.resolve();
  }

  async endJob(): Promise<void> {
    if (this.#driver !== null) await this.#processes.kill(this.#driver);
    this.#driver = null;
  }

  async stopCluster(): Promise<void> {
    await this.endJob();
    await Promise.all(this.#members.map((child) => this.#processes.kill(child)));
    this.#members = [];
  }

  get #cores(): number {
    return this.#mode === 'rtm' ? realTimeCores : 1;
  }

  get #environment(): Readonly<Record<string, string>> {
    return { SPARK_LOCAL_IP: '127.0.0.1', SPARK_CONF_DIR: this.#config };
  }
}
