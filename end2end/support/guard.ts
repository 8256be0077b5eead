/** Watches everything a browser complains about. A test during which it complained has failed. */
import type { BrowserContext } from '@playwright/test';

export class Guard {
  private readonly heard: string[] = [];
  private readonly expected: { pattern: RegExp; met: boolean }[] = [];

  /**
   * From now on, what happens in this context counts. Violations of the content policy arrive as console errors. Where
   * script is switched off, it is no complaint that what the page would have fetched for it is not fetched or used.
   */
  watch(context: BrowserContext, { script = true } = {}): void {
    context.on('console', (message) => {
      const text = `console ${message.type()}: ${message.text()} (${message.location().url})`;
      const unused = !script && /\.wasm was preloaded using link preload but not used/.test(text);
      if ((message.type() === 'error' || message.type() === 'warning') && !unused) this.heard.push(text);
    });
    context.on('weberror', (error) => this.heard.push(`uncaught: ${error.error().stack ?? error.error().message}`));
    context.on('requestfailed', (request) => {
      const why = request.failure()?.errorText ?? 'unknown';
      const unwanted = !script && why === 'csp' && request.url().endsWith('.js');
      // A page that is left gives up what it was still loading.
      if (why !== 'net::ERR_ABORTED' && !unwanted) this.heard.push(`request failed: ${request.method()} ${request.url()}: ${why}`);
    });
  }

  /** The test brings this complaint about on purpose. If it does not come, the test has failed too. */
  expect(pattern: RegExp): void {
    this.expected.push({ pattern, met: false });
  }

  /** What was heard and not expected, and what was expected and not heard. */
  complaints(): string[] {
    const odd = this.heard.filter((line) => {
      const met = this.expected.filter(({ pattern }) => pattern.test(line));
      for (const entry of met) entry.met = true;
      return met.length === 0;
    });
    const missing = this.expected.filter(({ met }) => !met).map(({ pattern }) => `expected, but not heard: ${pattern}`);
    return [...odd, ...missing];
  }
}
