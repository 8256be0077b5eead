/** Lighthouse, as a phone on a slow line sees a page: run by its own command, in the browser of these tests. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

export interface Figures {
  performance: number;
  accessibility: number;
  bestPractices: number;
  /** Milliseconds to the largest paint, as Lighthouse simulates them. */
  lcp: number;
  cls: number;
  /** Milliseconds in which the page did not answer. */
  tbt: number;
  /** What cost points, one line each. */
  faults: string[];
}

interface Audit {
  id: string;
  title: string;
  score: number | null;
  scoreDisplayMode: string;
  numericValue?: number;
  displayValue?: string;
}

interface Report {
  categories: Record<string, { score: number | null; auditRefs: { id: string; weight: number }[] }>;
  audits: Record<string, Audit>;
  runtimeError?: { message: string };
}

const COMMAND = require.resolve('lighthouse/cli/index.js');
const CATEGORIES = ['performance', 'accessibility', 'best-practices'];

/** One run over an address, by somebody whose cookie this is. */
export async function lighthouse(address: string, cookie: string): Promise<Figures> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'keyfold-lighthouse-'));
  const out = path.join(folder, 'report.json');
  const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-component-update'];
  const args = [
    COMMAND,
    address,
    '--quiet',
    '--output=json',
    `--output-path=${out}`,
    `--only-categories=${CATEGORIES.join(',')}`,
    `--chrome-flags=${flags.join(' ')}`,
    `--extra-headers=${JSON.stringify({ Cookie: cookie })}`,
    '--max-wait-for-load=60000',
    '--no-enable-error-reporting',
  ];
  try {
    const env = { ...process.env, CHROME_PATH: process.env['CHROMIUM'] ?? '/usr/bin/chromium-headless-shell', TMPDIR: folder };
    await promisify(execFile)(process.execPath, args, { env, maxBuffer: 64 * 1024 * 1024 });
    return figures(JSON.parse(await readFile(out, 'utf8')) as Report);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function figures({ categories, audits, runtimeError }: Report): Figures {
  if (runtimeError) throw new Error(`Lighthouse: ${runtimeError.message}`);
  const score = (name: string): number => Math.round((categories[name]?.score ?? 0) * 100);
  const value = (id: string): number => audits[id]?.numericValue ?? Number.NaN;
  const lost = CATEGORIES.flatMap((name) => categories[name]?.auditRefs.filter(({ weight }) => weight > 0) ?? [])
    .map(({ id }) => audits[id])
    .filter((audit): audit is Audit => audit !== undefined && audit.score !== null && audit.score < 0.9);
  return {
    performance: score('performance'),
    accessibility: score('accessibility'),
    bestPractices: score('best-practices'),
    lcp: value('largest-contentful-paint'),
    cls: value('cumulative-layout-shift'),
    tbt: value('total-blocking-time'),
    faults: lost.map(({ id, title, displayValue }) => `${id}: ${title} ${displayValue ?? ''}`.trim()),
  };
}

/** The figures in the middle of several runs, each by itself. */
export function median(runs: Figures[]): Figures {
  const middle = (of: (run: Figures) => number): number => runs.map(of).toSorted((a, b) => a - b)[Math.floor(runs.length / 2)] ?? Number.NaN;
  return {
    performance: middle((run) => run.performance),
    accessibility: middle((run) => run.accessibility),
    bestPractices: middle((run) => run.bestPractices),
    lcp: middle((run) => run.lcp),
    cls: middle((run) => run.cls),
    tbt: middle((run) => run.tbt),
    faults: [...new Set(runs.flatMap((run) => run.faults))],
  };
}
