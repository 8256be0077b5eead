/** The parts of a key's page that tell of its use, and the dialog of a rotation. */
import type { Locator, Page } from '@playwright/test';

export type Grace = 'Stops now' | 'Works 1 more hour' | 'Works 24 more hours' | 'Works 7 more days';

export class KeyUse {
  readonly secrets: Locator;
  readonly rotate: Locator;
  readonly usage: Locator;
  readonly chart: Locator;
  readonly csv: Locator;
  readonly evidence: Locator;
  readonly narrow: Locator;

  constructor(readonly page: Page) {
    this.secrets = page.getByRole('region', { name: 'Secrets' });
    this.rotate = this.secrets.getByRole('link', { name: 'Rotate' });
    this.usage = page.getByRole('region', { name: 'Usage' });
    this.chart = this.usage.getByRole('img');
    this.csv = this.usage.getByRole('link', { name: 'CSV' });
    this.evidence = page.getByRole('region', { name: 'Scopes it needs' });
    this.narrow = this.evidence.getByRole('button', { name: 'Narrow to this' });
  }

  /** The secret that ends with these characters. */
  secret(end: string): Locator {
    return this.secrets.locator('.secret-row').filter({ hasText: `…${end.slice(-4)}` });
  }

  endNow(end: string): Locator {
    return this.secret(end).getByRole('button', { name: 'End now' });
  }
}

export class RotateDialog {
  readonly dialog: Locator;
  readonly submit: Locator;
  readonly cancel: Locator;
  readonly alert: Locator;
  readonly password: Locator;

  constructor(readonly page: Page) {
    this.dialog = page.getByRole('dialog', { name: 'Rotate this key?' });
    this.submit = this.dialog.getByRole('button', { name: 'Rotate key' });
    this.cancel = this.dialog.getByRole('link', { name: 'Cancel' });
    this.alert = this.dialog.getByRole('alert');
    this.password = this.dialog.getByLabel('Your password again');
  }

  grace(grace: Grace): Locator {
    return this.dialog.getByRole('radio', { name: new RegExp(`^${grace}`) });
  }
}
