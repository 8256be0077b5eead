/** A real Keyfold: the binary as it is shipped, with a data folder and a port of its own. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { request } from './http';

/** The host name that browsers of these tests find on this machine, without it being loopback to them. */
export const PLAIN_HOST = 'keys.test';

export const ADMIN = {
  displayName: 'Ada Lovelace',
  username: 'ada',
  email: 'ada@example.com',
  password: 'four engines hum below the moon',
} as const;

export interface ServerOptions {
  /** Browsers reach it under `http://keys.test:PORT`, which is plain HTTP to them. */
  plainHttp?: boolean;
}

/** A key as the command line and REST describe it. */
export interface Key {
  id: string;
  name: string;
  state: string;
  scopes: string[];
  version: number;
  expires_at: string | null;
}

/** What may never be in a log. */
const SECRETS = /\bkf_(?:sec|pub|adm)_[0-9A-Za-z]{49}\b/;
/** What no test should be able to bring about. */
const FAULTS = /\bpanicked at\b|\bERROR\b/;

async function freePort(): Promise<number> {
  const probe = net.createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as net.AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

function binary(): string {
  const found = process.env['KEYFOLD_BIN'];
  if (!found) throw new Error('Set KEYFOLD_BIN to the binary under test, or run `make e2e`.');
  return path.resolve(found);
}

export class Server {
  /** What it printed, of all its starts. */
  log = '';
  private looked = 0;
  private child: ChildProcess | undefined;

  private constructor(
    private readonly folder: string,
    readonly port: number,
    /** As browsers see it, without a slash at the end. */
    readonly url: string,
  ) {}

  static async start({ plainHttp = false }: ServerOptions = {}): Promise<Server> {
    const [folder, port] = [await mkdtemp(path.join(os.tmpdir(), 'keyfold-e2e-')), await freePort()];
    const server = new Server(folder, port, `http://${plainHttp ? PLAIN_HOST : '127.0.0.1'}:${port}`);
    await server.launch();
    return server;
  }

  private get environment(): NodeJS.ProcessEnv {
    const plain = new URL(this.url).hostname === PLAIN_HOST;
    return {
      PATH: process.env['PATH'],
      KEYFOLD_ADDR: `127.0.0.1:${this.port}`,
      KEYFOLD_DATA_DIR: path.join(this.folder, 'data'),
      KEYFOLD_SHUTDOWN_DELAY_SECONDS: '0',
      KEYFOLD_LOG_LEVEL: 'debug',
      ...(plain ? { KEYFOLD_PUBLIC_URL: this.url, KEYFOLD_ALLOW_INSECURE_HTTP: 'true' } : {}),
    };
  }

  private async launch(): Promise<void> {
    const child = spawn(binary(), ['serve'], { cwd: this.folder, env: this.environment, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    await new Promise<void>((resolve, reject) => {
      const from = this.log.length;
      const listen = (part: Buffer): void => {
        this.log += part.toString('utf8');
        if (this.log.slice(from).includes('Keyfold is ready')) resolve();
      };
      child.stdout.on('data', listen);
      child.stderr.on('data', listen);
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`the server ended with ${code} before it was ready:\n${this.log}`)));
    });
  }

  /** The one-time link that the server printed. */
  get setUpLink(): string {
    const found = /Set up Keyfold: (\S+)/.exec(this.log);
    if (!found?.[1]) throw new Error(`no set-up link was printed:\n${this.log}`);
    return found[1];
  }

  /** Asks it to end in good order, and returns its exit code. */
  async terminate(): Promise<number | null> {
    const child = this.child;
    if (!child) return null;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    const [code] = (await ended) as [number | null];
    this.child = undefined;
    return code;
  }

  /** Ends it, and starts it again on the same data. */
  async restart(): Promise<number | null> {
    const code = await this.terminate();
    await this.launch();
    return code;
  }

  /** What it logged since this was asked last and should not have: faults of its own, and secrets. */
  complaints(): string[] {
    const lines = this.log.slice(this.looked).split('\n');
    this.looked = this.log.length;
    return lines.filter((line) => FAULTS.test(line) || SECRETS.test(line) || line.includes(ADMIN.password));
  }

  /** Ends it and removes all it kept. */
  async dispose(): Promise<void> {
    await this.terminate();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Runs a command of the same binary beside the running server, and returns what it prints on standard output. */
  async cli(args: string[], input = ''): Promise<string> {
    const running = promisify(execFile)(binary(), args, { cwd: this.folder, env: { ...this.environment, KEYFOLD_LOG_LEVEL: 'warn' } });
    // A command that needs no input may be gone before it was offered any.
    running.child.stdin?.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' || input !== '') throw error;
    });
    running.child.stdin?.end(input);
    return (await running).stdout.trim();
  }

  /** Makes a key without a browser and returns its secret. */
  createKey(workspace: string, name: string, ...more: string[]): Promise<string> {
    const access = more.some((arg) => arg === '--scope' || arg === '--full-access') ? [] : ['--scope', 'inference'];
    return this.cli(['key', 'create', '--workspace', workspace, '--owner', ADMIN.username, `--name=${name}`, ...access, ...more]);
  }

  /** The keys of a workspace, without a browser, newest first. */
  async keys(workspace: string, state = 'live'): Promise<Key[]> {
    const list = await this.cli(['key', 'list', '--workspace', workspace, '--state', state, '--json']);
    return (JSON.parse(list) as { data: Key[] }).data;
  }

  /** The id of the key with that name. */
  async keyId(workspace: string, name: string): Promise<string> {
    const key = (await this.keys(workspace)).find((key) => key.name === name);
    if (!key) throw new Error(`no key is called ${name}`);
    return key.id;
  }

  /** How many events the audit log holds; every change adds one. */
  async auditEvents(): Promise<number> {
    const report = JSON.parse(await this.cli(['audit', 'verify', '--json'])) as { events: number; whole: boolean };
    if (!report.whole) throw new Error('the audit log is broken');
    return report.events;
  }

  /** Sets up without a browser and returns the session cookie, as `name=value`. */
  async setUp(workspace: { slug: string; name: string }): Promise<string> {
    const fields = new URLSearchParams({
      token: new URL(this.setUpLink).searchParams.get('token') ?? '',
      username: ADMIN.username,
      email: ADMIN.email,
      display_name: ADMIN.displayName,
      password: ADMIN.password,
      workspace_name: workspace.name,
      workspace_slug: workspace.slug,
    });
    const reply = await request(`http://127.0.0.1:${this.port}/_app/complete_setup`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      body: fields.toString(),
    });
    const cookie = reply.headers['set-cookie']?.[0]?.split(';')[0];
    if (reply.status !== 200 || !cookie) throw new Error(`set-up was refused with ${reply.status}: ${reply.text}`);
    return cookie;
  }
}
