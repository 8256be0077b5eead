/** The API reference, a page without script. */
import type { Locator, Page } from '@playwright/test';

export class ReferencePage {
  readonly heading: Locator;
  readonly operations: Locator;

  constructor(readonly page: Page) {
    this.heading = page.getByRole('heading', { level: 1, name: 'API reference' });
    this.operations = page.getByRole('navigation', { name: 'Operations' });
  }

  async open(url: string, hash = ''): Promise<void> {
    await this.page.goto(`${url}/docs/api${hash}`);
  }

  /** What is written of one operation. */
  operation(id: string): Locator {
    return this.page.locator(`article[aria-labelledby="${id}"]`);
  }
}
