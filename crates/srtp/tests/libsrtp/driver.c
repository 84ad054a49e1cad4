/*
 * Protects and opens packets with libsrtp, for the tests and the benchmark of pc-srtp.
 *
 * driver PROFILE KEY-AND-SALT-IN-HEX [ENCRYPTED-EXTENSION-IDS|-] [MKI-IN-HEX]
 *   reads frames: operation (1 byte: 0 protect RTP, 1 protect RTCP, 2 open RTP, 3 open RTCP), length (4 bytes, little
 *   endian), packet; writes for each: status (1 byte, 0 is good), length, packet.
 * driver bench PROFILE KEY-AND-SALT-IN-HEX PACKETS LENGTH
 *   prints the nanoseconds that protecting and opening an RTP packet took.
 */
#include <srtp2/srtp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_PACKET 4096

static int set_policy(srtp_policy_t *policy, const char *profile)
{
    srtp_crypto_policy_t *rtp = &policy->rtp, *rtcp = &policy->rtcp;
    if (strcmp(profile, "AES_CM_128_HMAC_SHA1_80") == 0) {
        srtp_crypto_policy_set_rtp_default(rtp);
        srtp_crypto_policy_set_rtcp_default(rtcp);
    } else if (strcmp(profile, "AES_CM_128_HMAC_SHA1_32") == 0) {
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(rtp);
        srtp_crypto_policy_set_rtcp_default(rtcp);
    } else if (strcmp(profile, "AES_256_CM_HMAC_SHA1_80") == 0) {
        srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(rtp);
        srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(rtcp);
    } else if (strcmp(profile, "AES_256_CM_HMAC_SHA1_32") == 0) {
        srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32(rtp);
        srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(rtcp);
    } else if (strcmp(profile, "AEAD_AES_128_GCM") == 0) {
        srtp_crypto_policy_set_aes_gcm_128_16_auth(rtp);
        srtp_crypto_policy_set_aes_gcm_128_16_auth(rtcp);
    } else if (strcmp(profile, "AEAD_AES_256_GCM") == 0) {
        srtp_crypto_policy_set_aes_gcm_256_16_auth(rtp);
        srtp_crypto_policy_set_aes_gcm_256_16_auth(rtcp);
    } else {
        return -1;
    }
    return 0;
}

static size_t from_hex(const char *text, unsigned char *out, size_t room)
{
    size_t len = 0;
    unsigned int byte;
    while (len < room && sscanf(text + 2 * len, "%2x", &byte) == 1)
        out[len++] = (unsigned char)byte;
    return len;
}

static void die(const char *what)
{
    fprintf(stderr, "driver: %s\n", what);
    exit(2);
}

static unsigned char key[128], mki[128];
static int extensions[256];
static srtp_master_key_t master = { key, mki, 0 };
static srtp_master_key_t *masters[] = { &master };

static srtp_t session(const char *profile, srtp_ssrc_type_t direction, const char *ids, const char *mki_hex)
{
    srtp_policy_t policy;
    srtp_t session;
    memset(&policy, 0, sizeof policy);
    if (set_policy(&policy, profile) != 0)
        die("unknown profile");
    policy.ssrc.type = direction;
    policy.window_size = 1024;
    if (ids != NULL && strcmp(ids, "-") != 0) {
        char copy[256], *token;
        int count = 0;
        snprintf(copy, sizeof copy, "%s", ids);
        for (token = strtok(copy, ","); token != NULL; token = strtok(NULL, ","))
            extensions[count++] = atoi(token);
        policy.enc_xtn_hdr = extensions;
        policy.enc_xtn_hdr_count = count;
    }
    if (mki_hex != NULL) {
        master.mki_size = (unsigned int)from_hex(mki_hex, mki, sizeof mki);
        policy.keys = masters;
        policy.num_master_keys = 1;
    } else {
        policy.key = key;
    }
    if (srtp_create(&session, &policy) != srtp_err_status_ok)
        die("srtp_create failed");
    return session;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#define BATCH 512
#define STRIDE 1536

static int bench(char **argv)
{
    static uint32_t aligned[BATCH * STRIDE / 4];
    unsigned char *packets = (unsigned char *)aligned;
    int batches = atoi(argv[4]) / BATCH, length = atoi(argv[5]), turn, n, sealed_len = 0;
    double start, protect = 0, open = 0;
    unsigned int seq = 0;
    srtp_t out, in;
    from_hex(argv[3], key, sizeof key);
    out = session(argv[2], ssrc_any_outbound, NULL, NULL);
    in = session(argv[2], ssrc_any_inbound, NULL, NULL);
    for (turn = 0; turn < batches; turn++) {
        for (n = 0; n < BATCH; n++, seq++) {
            unsigned char *packet = packets + n * STRIDE;
            packet[0] = 0x80;
            packet[1] = 96;
            packet[2] = (unsigned char)(seq >> 8);
            packet[3] = (unsigned char)seq;
            memset(packet + 4, 7, (size_t)length - 4);
        }
        start = seconds();
        for (n = 0; n < BATCH; n++) {
            sealed_len = length;
            if (srtp_protect(out, packets + n * STRIDE, &sealed_len) != srtp_err_status_ok)
                die("srtp_protect failed");
        }
        protect += seconds() - start;
        start = seconds();
        for (n = 0; n < BATCH; n++) {
            int len = sealed_len;
            if (srtp_unprotect(in, packets + n * STRIDE, &len) != srtp_err_status_ok)
                die("srtp_unprotect failed");
        }
        open += seconds() - start;
    }
    printf("%.1f %.1f\n", 1e9 * protect / (batches * BATCH), 1e9 * open / (batches * BATCH));
    return 0;
}

int main(int argc, char **argv)
{
    static uint32_t aligned[MAX_PACKET / 4];
    unsigned char *packet = (unsigned char *)aligned, head[5];
    srtp_t out, in;
    int with_mki = argc > 4;
    if (srtp_init() != srtp_err_status_ok)
        die("srtp_init failed");
    if (argc == 6 && strcmp(argv[1], "bench") == 0)
        return bench(argv);
    if (argc < 3)
        die("usage: driver PROFILE KEY [IDS] [MKI]");
    from_hex(argv[2], key, sizeof key);
    out = session(argv[1], ssrc_any_outbound, argc > 3 ? argv[3] : NULL, with_mki ? argv[4] : NULL);
    in = session(argv[1], ssrc_any_inbound, argc > 3 ? argv[3] : NULL, with_mki ? argv[4] : NULL);
    while (fread(head, 1, 5, stdin) == 5) {
        int len = (int)(head[1] | head[2] << 8 | head[3] << 16 | (uint32_t)head[4] << 24);
        srtp_err_status_t status;
        if (len > MAX_PACKET - SRTP_MAX_TRAILER_LEN || fread(packet, 1, (size_t)len, stdin) != (size_t)len)
            die("bad frame");
        switch (head[0]) {
        case 0:
            status = srtp_protect_mki(out, packet, &len, (unsigned int)with_mki, 0);
            break;
        case 1:
            status = srtp_protect_rtcp_mki(out, packet, &len, (unsigned int)with_mki, 0);
            break;
        case 2:
            status = srtp_unprotect_mki(in, packet, &len, (unsigned int)with_mki);
            break;
        default:
            status = srtp_unprotect_rtcp_mki(in, packet, &len, (unsigned int)with_mki);
            break;
        }
        head[0] = (unsigned char)status;
        head[1] = (unsigned char)len;
        head[2] = (unsigned char)(len >> 8);
        head[3] = (unsigned char)(len >> 16);
        head[4] = (unsigned char)(len >> 24);
        fwrite(head, 1, 5, stdout);
        fwrite(packet, 1, (size_t)len, stdout);
    }
    fflush(stdout);
    return 0;
}
