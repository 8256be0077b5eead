/** The last lines of a run, for whoever reads only those: what failed, and how many tests passed and how many did not. */
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';

import type { FullResult, Reporter, Suite, TestCase } from '@playwright/test/reporter';

export default class Totals implements Reporter {
  private suite: Suite | undefined;

  onBegin(_config: unknown, suite: Suite): void {
    this.suite = suite;
  }

  printsToStdio(): boolean {
    return false;
  }

  onEnd(result: FullResult): void {
    const tests = this.suite?.allTests() ?? [];
    const flaky = tests.filter((test) => test.outcome() === 'flaky');
    const passed = tests.filter((test) => test.outcome() === 'expected' && test.results.length > 0).length + flaky.length;
    const skipped = tests.filter((test) => test.outcome() === 'skipped').length;
    // What did not get its turn has not passed; neither has a run that broke outside its tests.
    const failed = Math.max(tests.length - passed - skipped, result.status === 'passed' ? 0 : 1);
    // `make test` repeats the lines that begin so.
    const second = flaky.map((test) => `FLAKY ${account(test)}`);
    this.faults = [...tests.filter((test) => test.outcome() === 'unexpected').map(account), ...second];
    this.line = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
  }

  private line = '';
  private faults: string[] = [];

  async onExit(): Promise<void> {
    process.stdout.write(`${[...this.faults, this.line].join('\n')}\n`);
  }
}

/** A failed test and the beginning of each thing that was wrong with it. */
function account(test: TestCase): string {
  const { file, line } = test.location;
  const errors = test.results.flatMap((result) => result.errors);
  const causes = errors.map((error) => stripVTControlCharacters(error.message ?? error.value ?? '').split('\n').filter(Boolean).slice(0, 12).join('\n    '));
  return [`${path.basename(file)}:${line} ${test.title}`, ...causes].join('\n  ');
}
