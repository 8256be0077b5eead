/** One screen in all the ways people see it: both themes, wide and narrow, forced colours. Pictures of it on request. */
import { copyFile, mkdir } from 'node:fs/promises';
import path from 'node:path';

import { type Page, expect, test } from '@playwright/test';

import { expectAccessible } from './axe';
import { settle } from './settle';

const WIDE = { width: 1280, height: 800 };
const NARROW = { width: 390, height: 844 };
/** 1280 px at 400 %, as WCAG 1.4.10 has it. */
const ZOOMED = { width: 320, height: 640 };
const PICTURES = path.resolve(__dirname, '../screenshots');
const DOCS = path.resolve(__dirname, '../../docs/images');

const wanted = process.env['SCREENSHOTS'] === '1';

/** Nothing sticks out to the right, of the page or of the dialog over it. */
async function expectNoSidewaysScroll(page: Page, what: string): Promise<void> {
  const wide = await page.evaluate(() => {
    const boxes = [document.documentElement, ...document.querySelectorAll('dialog[open], dialog[open] form, .dialog-body, .menu:popover-open')];
    return boxes.filter((box) => box.scrollWidth > box.clientWidth + 1).map((box) => `${box.tagName}.${box.className}: ${box.scrollWidth} > ${box.clientWidth}`);
  });
  expect(wide, `${what} scrolls sideways`).toEqual([]);
}

async function picture(page: Page, name: string, width: number, theme: string, forDocs: boolean): Promise<void> {
  await mkdir(PICTURES, { recursive: true });
  const file = path.join(PICTURES, `${name}-${width}-${theme}.png`);
  await page.screenshot({ path: file, animations: 'disabled', caret: 'hide' });
  if (forDocs && width === WIDE.width && theme === 'light') {
    await mkdir(DOCS, { recursive: true });
    await copyFile(file, path.join(DOCS, `${name}.png`));
  }
}

/** Looks at the screen that is on the page now; leaves it as it was. */
export async function examine(page: Page, name: string, { forDocs = false } = {}): Promise<void> {
  for (const theme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' });
    for (const size of [WIDE, NARROW]) {
      await test.step(`${name}, ${theme}, ${size.width} px`, async () => {
        await page.setViewportSize(size);
        await settle(page);
        await expectNoSidewaysScroll(page, name);
        await expectAccessible(page, `${name}, ${theme}, ${size.width} px`);
        if (wanted) await picture(page, name, size.width, theme, forDocs);
      });
    }
  }
  await test.step(`${name}, 320 px`, async () => {
    await page.setViewportSize(ZOOMED);
    await settle(page);
    await expectNoSidewaysScroll(page, name);
  });
  await page.setViewportSize(WIDE);
  await page.emulateMedia({ colorScheme: null, reducedMotion: null });
}
