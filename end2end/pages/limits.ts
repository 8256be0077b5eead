/** From where and how often a key may be used: on its own page, for a member, and in the form of a new key. */
import type { Locator, Page } from '@playwright/test';

export class KeyLimitsPanel {
  readonly panel: Locator;
  readonly addresses: Locator;
  readonly limits: Locator;
  readonly changeAddresses: Locator;
  readonly changeLimits: Locator;

  constructor(readonly page: Page) {
    this.panel = page.getByRole('region', { name: 'Limits and addresses' });
    this.addresses = this.setting('Allowed addresses');
    this.limits = this.setting('Limits');
    this.changeAddresses = this.panel.getByRole('link', { name: 'Change allowed addresses' });
    this.changeLimits = this.panel.getByRole('link', { name: 'Change limits' });
  }

  private setting(label: string): Locator {
    return this.panel.locator('.setting', { has: this.page.locator('dt', { hasText: label }) }).locator('dd').first();
  }
}

/** The rows of limits, wherever they stand. */
export class LimitFields {
  readonly addresses: Locator;
  readonly limitsError: Locator;
  readonly addressesError: Locator;

  constructor(readonly within: Locator | Page) {
    this.addresses = within.getByRole('textbox', { name: /^Allowed addresses/ });
    this.limitsError = within.locator('#limits-error');
    this.addressesError = within.locator('#ip_allow-error');
  }

  /** The row of that number, from 1. */
  row(number: number): Locator {
    return this.within.getByRole('group', { name: `Limit ${number}`, exact: true });
  }

  async fill(number: number, name: string, calls: string, span: string): Promise<void> {
    const row = this.row(number);
    await row.getByLabel('Limit name').fill(name);
    await row.getByLabel('Calls').fill(calls);
    await row.getByLabel('In').selectOption({ label: span });
  }
}
