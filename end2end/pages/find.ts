/** Finding things, the keys of the keyboard, and which columns the list shows. */
import type { Locator, Page } from '@playwright/test';

/** What Ctrl+K opens over any page. */
export class Palette {
  readonly dialog: Locator;
  readonly field: Locator;
  readonly said: Locator;

  constructor(readonly page: Page) {
    this.dialog = page.getByRole('dialog', { name: 'Find' });
    this.field = this.dialog.getByRole('searchbox');
    this.said = this.dialog.getByRole('status');
  }

  entry(title: string): Locator {
    return this.dialog.getByRole('link').filter({ hasText: title });
  }
}

/** The page of the same, for which no script is needed. */
export class FindPage {
  readonly field: Locator;
  readonly submit: Locator;
  readonly found: Locator;

  constructor(readonly page: Page) {
    this.field = page.getByRole('searchbox', { name: 'Find' });
    this.submit = page.getByRole('button', { name: 'Find' });
    this.found = page.locator('#found');
  }
}

export class ColumnsDialog {
  readonly dialog: Locator;
  readonly save: Locator;

  constructor(readonly page: Page) {
    this.dialog = page.getByRole('dialog', { name: 'Columns' });
    this.save = this.dialog.getByRole('button', { name: 'Save columns' });
  }

  column(title: string): Locator {
    return this.dialog.getByRole('checkbox', { name: title });
  }
}
