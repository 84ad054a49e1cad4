// Headless Chromium and Firefox of the system, with devices of their own making.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
  if (name === 'chromium') {
    const browser = await puppeteer.launch({ ...COMMON, executablePath, args: CHROMIUM_FLAGS });
    outliveNever(browser.process());
    return browser;
  }
  const sound = await startSoundServer();
  const browser = await puppeteer.launch({
    ...COMMON,
    browser: 'firefox',
    executablePath,
    extraPrefsFirefox: FIREFOX_PREFERENCES,
    env: { ...process.env, ...sound.environment },
  });
  outliveNever(browser.process());
  const close = browser.close.bind(browser);
  browser.close = () => close().finally(sound.stop);
  return browser;
}

/**
 * Ends a process, and the group that it leads, with this one: also when this one is killed and no handler runs. A shell
 * reads a pipe from here, whose end it sees in every case.
 */
function outliveNever({ pid }) {
  const guard = spawn('sh', ['-c', `read -r _; kill -9 -${pid} || kill -9 ${pid}`], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guard.unref();
  guard.stdin.unref();
}

const COMMON = {
  headless: true,
  defaultViewport: { width: 1200, height: 1000 },
  protocolTimeout: 120_000,
};

/**
 * A PulseAudio of our own that plays into nothing. Firefox does not run an AudioContext without an output, and
 * nobody wants to hear the checks.
 */
async function startSoundServer() {
  const folder = mkdtempSync(join(tmpdir(), 'sound-'));
  const socket = join(folder, 'native');
  const server = spawn(
    'pulseaudio',
    [
      ...['--daemonize=no', '--use-pid-file=no', '--exit-idle-time=-1', '-n'],
      ...['--load=module-null-sink', `--load=module-native-protocol-unix socket=${socket} auth-anonymous=1`],
    ],
    { stdio: 'ignore', env: { ...process.env, HOME: folder, XDG_RUNTIME_DIR: folder } },
  );
  if (server.pid) {
    outliveNever(server);
  }
  const failed = new Promise((_, reject) => {
    server.once('error', (error) => reject(new Error(`pulseaudio does not start: ${error.message}`)));
    server.once('exit', (code) => reject(new Error(`pulseaudio ended with ${code}`)));
  });
  failed.catch(() => {}); // It ends in any case.
  const listening = (async () => {
    while (!existsSync(socket)) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  await Promise.race([listening, failed]);
  const stop = () => {
    server.kill();
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', stop);
  return { environment: { PULSE_SERVER: `unix:${socket}` }, stop };
}
