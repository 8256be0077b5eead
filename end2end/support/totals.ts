/** The last line of a run: how many tests passed and how many did not, in plain words for whoever reads only that. */
import type { FullResult, Reporter, Suite } from '@playwright/test/reporter';

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
    const passed = tests.filter((test) => test.outcome() === 'expected' && test.results.length > 0).length;
    const skipped = tests.filter((test) => test.outcome() === 'skipped').length;
    // What did not get its turn has not passed; neither has a run that broke outside its tests.
    const failed = Math.max(tests.length - passed - skipped, result.status === 'passed' ? 0 : 1);
    this.line = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
  }

  private line = '';

  async onExit(): Promise<void> {
    process.stdout.write(`${this.line}\n`);
  }
}
