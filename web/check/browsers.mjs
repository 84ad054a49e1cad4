// Headless Chromium and Firefox of the system, with devices of their own making.

import { existsSync } from 'node:fs';
import puppeteer from 'puppeteer-core';

const BINARIES = {
  chromium: ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'],
  firefox: ['/usr/bin/firefox-esr', '/usr/bin/firefox'],
};

const CHROMIUM_FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // A pattern and a beep instead of a camera and a microphone, and no question whether they may be used.
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  '--autoplay-policy=no-user-gesture-required',
  // A machine with no network but the loopback can still make a call.
  '--allow-loopback-in-peer-connection',
];

const FIREFOX_PREFERENCES = {
  'media.navigator.streams.fake': true,
  'media.navigator.permission.disabled': true,
  'media.autoplay.default': 0,
  'media.autoplay.block-webaudio': false,
  'media.peerconnection.ice.loopback': true,
  // Plug-ins for codecs would be downloaded; VP8 and Opus are built in.
  'media.gmp-manager.updateEnabled': false,
  'app.update.enabled': false,
};

/** Starts a browser with a fresh profile: `chromium` or `firefox`. */
export async function launch(name) {
  const variable = `${name.toUpperCase()}_BINARY`;
  const executablePath = process.env[variable] ?? BINARIES[name]?.find(existsSync);
  if (!executablePath) {
    throw new Error(`no ${name} found: run \`cargo xtask setup\` or set ${variable}`);
  }
  return puppeteer.launch({
    browser: name === 'firefox' ? 'firefox' : 'chrome',
    executablePath,
    headless: true,
    args: name === 'firefox' ? [] : CHROMIUM_FLAGS,
    extraPrefsFirefox: FIREFOX_PREFERENCES,
    defaultViewport: { width: 1200, height: 1000 },
    protocolTimeout: 120_000,
  });
}
