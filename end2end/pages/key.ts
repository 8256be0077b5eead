/** The page of one key, and the dialogs over it. */
import type { Locator, Page } from '@playwright/test';

export type Act = 'name and note' | 'scopes' | 'expires' | 'if nobody uses it';

export class KeyPage {
  readonly heading: Locator;
  readonly rename: Locator;
  readonly newName: Locator;
  readonly status: Locator;
  readonly settings: Locator;
  readonly activate: Locator;
  readonly deactivate: Locator;
  readonly remove: Locator;
  readonly copySettings: Locator;
  readonly back: Locator;

  constructor(readonly page: Page) {
    this.heading = page.getByRole('heading', { level: 1 });
    this.rename = page.getByRole('main').getByRole('link', { name: /^Rename / });
    this.newName = page.locator('.key-name-form').getByLabel('Name', { exact: true });
    this.status = page.locator('.key-head .status');
    this.settings = page.getByRole('region', { name: 'Settings' });
    this.activate = page.getByRole('main').getByRole('link', { name: 'Activate', exact: true });
    this.deactivate = page.getByRole('main').getByRole('link', { name: 'Deactivate', exact: true });
    this.remove = page.getByRole('main').getByRole('link', { name: 'Delete', exact: true });
    this.copySettings = page.getByRole('link', { name: 'Copy settings' });
    this.back = page.getByRole('navigation', { name: 'Way back' }).getByRole('link');
  }

  change(what: Act): Locator {
    return this.settings.getByRole('link', { name: `Change ${what}` });
  }

  /** How a setting stands. */
  setting(label: string): Locator {
    return this.settings.locator('.setting', { has: this.page.locator('dt', { hasText: label }) }).locator('dd').first();
  }

  /** What is said above the settings. */
  banner(text: RegExp | string): Locator {
    return this.page.locator('.behind .notice').filter({ hasText: text });
  }

  dialog(name: string | RegExp): Locator {
    return this.page.getByRole('dialog', { name });
  }
}
