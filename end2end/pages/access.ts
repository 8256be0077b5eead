/** What a key would be answered: the dialog over its page. */
import type { Locator, Page } from '@playwright/test';

export class TestAccessDialog {
  readonly dialog: Locator;
  readonly scope: Locator;
  readonly resource: Locator;
  readonly address: Locator;
  readonly ask: Locator;
  readonly checks: Locator;

  constructor(readonly page: Page) {
    this.dialog = page.getByRole('dialog', { name: 'Test this key’s access' });
    this.scope = this.dialog.getByLabel('Scope', { exact: true });
    this.resource = this.dialog.getByLabel('Resource (optional)');
    this.address = this.dialog.getByLabel('Client’s address (optional)');
    this.ask = this.dialog.getByRole('button', { name: 'Test access' });
    this.checks = this.dialog.getByRole('list', { name: 'Checks, in their order' }).getByRole('listitem');
  }

  /** The checks that the key does not pass, in their order. */
  failed(): Locator {
    return this.checks.filter({ hasText: /Failed|Fails as well/ });
  }
}
