/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The least a voice call can do: one thread that captures a frame, encodes, encrypts and sends it, and that receives,
 * decrypts, decodes and plays whatever comes, at once. No jitter buffer, no concealment, no handshake, a fixed key. What
 * this costs in processor time and delay is the floor that benches compare DVS with, at equal settings.
 *
 *   floor DEVICE MY_PORT PEER_PORT SECONDS [voip|lowdelay [COMPLEXITY [BITRATE [FRAME_MS [MICROPHONE_RAW]]]]]
 *
 * DEVICE is ALSA's name of a card, or "none": then a timer paces frames from MICROPHONE_RAW (or silence), and what is
 * received is decoded and dropped. Both ends run on this machine. The first second is not measured. Prints one line of
 * name=value pairs. Packets have the size of DVS's: 13 bytes and the Opus frame.
 *
 * Build: gcc -O2 -o floor floor.c -lasound -lopus -lcrypto
 */
#define _GNU_SOURCE
#include <alsa/asoundlib.h>
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <opus/opus.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define RATE 48000
#define MAX_FRAME 2880      /* samples: 60 ms */
#define HEADER 13           /* kind 1, sequence number 4, tag 8 */
#define TAG 8
#define MAX_PACKET 1500
#define WARM_UP 1.0         /* seconds */

struct settings {
    const char *device;
    int my_port, peer_port;
    double seconds;
    const char *application;
    int complexity, bitrate;
    double frame_ms;
    int frame;              /* samples */
};

struct call {
    struct settings settings;
    int socket;
    struct sockaddr_in peer;
    snd_pcm_t *microphone, *loudspeaker;
    int timer;
    int16_t *recording;     /* what a call without a card says */
    size_t recorded, said;  /* samples */
    OpusEncoder *encoder;
    OpusDecoder *decoder;
    EVP_CIPHER_CTX *seal, *open;
    uint32_t sequence;
    long sent, received, xruns;
};

static void fail(const char *what)
{
    fprintf(stderr, "floor: %s failed\n", what);
    exit(1);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + 1e-9 * time.tv_nsec;
}

/* Processor time of this thread, in seconds, as the scheduler counts it. */
static double processor_time(void)
{
    double nanos = 0;
    FILE *file = fopen("/proc/self/schedstat", "r");
    if (!file || fscanf(file, "%lf", &nanos) != 1)
        fail("/proc/self/schedstat");
    fclose(file);
    return nanos * 1e-9;
}

static snd_pcm_t *open_card(const char *name, snd_pcm_stream_t stream, snd_pcm_uframes_t period,
                            snd_pcm_uframes_t buffer)
{
    snd_pcm_t *pcm;
    snd_pcm_hw_params_t *hardware;
    snd_pcm_sw_params_t *software;
    snd_pcm_hw_params_alloca(&hardware);
    snd_pcm_sw_params_alloca(&software);
    if (snd_pcm_open(&pcm, name, stream, 0) < 0)
        fail("opening the card");
    snd_pcm_hw_params_any(pcm, hardware);
    snd_pcm_hw_params_set_access(pcm, hardware, SND_PCM_ACCESS_RW_INTERLEAVED);
    snd_pcm_hw_params_set_format(pcm, hardware, SND_PCM_FORMAT_S16_LE);
    snd_pcm_hw_params_set_channels(pcm, hardware, 1);
    snd_pcm_hw_params_set_rate(pcm, hardware, RATE, 0);
    snd_pcm_hw_params_set_period_size_near(pcm, hardware, &period, NULL);
    snd_pcm_hw_params_set_buffer_size_near(pcm, hardware, &buffer);
    if (snd_pcm_hw_params(pcm, hardware) < 0)
        fail("setting up the card");
    snd_pcm_sw_params_current(pcm, software);
    snd_pcm_sw_params_set_start_threshold(pcm, software, 1);
    snd_pcm_sw_params_set_avail_min(pcm, software, period);
    if (snd_pcm_sw_params(pcm, software) < 0)
        fail("setting up the card");
    return pcm;
}

static void open_sound(struct call *call)
{
    const struct settings *settings = &call->settings;
    if (strcmp(settings->device, "none") != 0) {
        call->microphone = open_card(settings->device, SND_PCM_STREAM_CAPTURE, settings->frame, settings->frame * 4);
        call->loudspeaker = open_card(settings->device, SND_PCM_STREAM_PLAYBACK, settings->frame, settings->frame * 8);
        snd_pcm_start(call->microphone);
        return;
    }
    long nanos = settings->frame * 1000000000L / RATE;
    struct itimerspec pace = {{0, nanos}, {0, nanos}};
    call->timer = timerfd_create(CLOCK_MONOTONIC, 0);
    if (call->timer < 0 || timerfd_settime(call->timer, 0, &pace, NULL) < 0)
        fail("the timer");
}

static void load_recording(struct call *call, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail("opening the recording");
    call->recording = malloc(60 * RATE * sizeof(int16_t));
    if (!call->recording)
        fail("memory");
    call->recorded = fread(call->recording, sizeof(int16_t), 60 * RATE, file);
    fclose(file);
}

static void open_codec(struct call *call)
{
    int error, voip = strcmp(call->settings.application, "voip") == 0;
    int application = voip ? OPUS_APPLICATION_VOIP : OPUS_APPLICATION_RESTRICTED_LOWDELAY;
    call->encoder = opus_encoder_create(RATE, 1, application, &error);
    call->decoder = opus_decoder_create(RATE, 1, &error);
    if (!call->encoder || !call->decoder)
        fail("the codec");
    opus_encoder_ctl(call->encoder, OPUS_SET_COMPLEXITY(call->settings.complexity));
    opus_encoder_ctl(call->encoder, OPUS_SET_BITRATE(call->settings.bitrate));
    opus_encoder_ctl(call->encoder, OPUS_SET_VBR(0));
    opus_encoder_ctl(call->encoder, OPUS_SET_INBAND_FEC(voip));
}

static void open_crypto(struct call *call)
{
    static const unsigned char key[32] = {7};
    call->seal = EVP_CIPHER_CTX_new();
    call->open = EVP_CIPHER_CTX_new();
    if (!EVP_EncryptInit_ex(call->seal, EVP_aes_256_gcm(), NULL, key, NULL) ||
        !EVP_DecryptInit_ex(call->open, EVP_aes_256_gcm(), NULL, key, NULL))
        fail("the cipher");
}

static void open_socket(struct call *call)
{
    struct sockaddr_in mine = {.sin_family = AF_INET, .sin_port = htons(call->settings.my_port)};
    mine.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    call->peer = mine;
    call->peer.sin_port = htons(call->settings.peer_port);
    call->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (call->socket < 0 || bind(call->socket, (struct sockaddr *)&mine, sizeof mine) < 0)
        fail("binding the port");
}

static void send_frame(struct call *call, const int16_t *sound)
{
    unsigned char opus[MAX_PACKET], packet[MAX_PACKET] = {4}, nonce[12] = {0};
    uint32_t sequence = htonl(call->sequence++);
    int sealed, rest;
    int bytes = opus_encode(call->encoder, sound, call->settings.frame, opus, sizeof opus - HEADER);
    if (bytes <= 0)
        fail("encoding");
    memcpy(nonce + 8, &sequence, 4);
    memcpy(packet + 1, &sequence, 4);
    EVP_EncryptInit_ex(call->seal, NULL, NULL, NULL, nonce);
    EVP_EncryptUpdate(call->seal, packet + HEADER, &sealed, opus, bytes);
    EVP_EncryptFinal_ex(call->seal, packet + HEADER + sealed, &rest);
    EVP_CIPHER_CTX_ctrl(call->seal, EVP_CTRL_GCM_GET_TAG, TAG, packet + 5);
    sendto(call->socket, packet, bytes + HEADER, 0, (struct sockaddr *)&call->peer, sizeof call->peer);
    call->sent++;
}

static void play(struct call *call, const int16_t *sound, int samples)
{
    if (!call->loudspeaker)
        return;
    snd_pcm_sframes_t written = snd_pcm_writei(call->loudspeaker, sound, samples);
    if (written < 0) {
        call->xruns++;
        snd_pcm_recover(call->loudspeaker, written, 1);
        snd_pcm_writei(call->loudspeaker, sound, samples);
    }
}

static void receive_frame(struct call *call)
{
    unsigned char packet[2048], opus[2048], nonce[12] = {0};
    int16_t sound[MAX_FRAME];
    int opened, rest;
    ssize_t length = recv(call->socket, packet, sizeof packet, MSG_DONTWAIT);
    if (length <= HEADER)
        return;
    memcpy(nonce + 8, packet + 1, 4);
    EVP_DecryptInit_ex(call->open, NULL, NULL, NULL, nonce);
    EVP_DecryptUpdate(call->open, opus, &opened, packet + HEADER, length - HEADER);
    EVP_CIPHER_CTX_ctrl(call->open, EVP_CTRL_GCM_SET_TAG, TAG, packet + 5);
    if (EVP_DecryptFinal_ex(call->open, opus + opened, &rest) <= 0)
        return;
    call->received++;
    int samples = opus_decode(call->decoder, opus, opened, sound, MAX_FRAME, 0);
    if (samples > 0)
        play(call, sound, samples);
}

/* Gets a frame from the card, or from the recording when the timer fired. Returns whether there was one. */
static int capture_frame(struct call *call, struct pollfd *fds, int count, int16_t *sound)
{
    int frame = call->settings.frame;
    if (call->microphone) {
        unsigned short events = 0;
        snd_pcm_poll_descriptors_revents(call->microphone, fds, count, &events);
        if (!(events & POLLIN))
            return 0;
        snd_pcm_sframes_t captured = snd_pcm_readi(call->microphone, sound, frame);
        if (captured == frame)
            return 1;
        call->xruns++;
        snd_pcm_recover(call->microphone, captured, 1);
        snd_pcm_start(call->microphone);
        return 0;
    }
    uint64_t expirations;
    if (!(fds[0].revents & POLLIN) || read(call->timer, &expirations, sizeof expirations) < 0)
        return 0;
    for (int i = 0; i < frame; i++)
        sound[i] = call->recorded ? call->recording[(call->said + i) % call->recorded] : 0;
    call->said += frame;
    return 1;
}

static void wake_up(struct call *call)
{
    int16_t sound[MAX_FRAME];
    struct pollfd fds[8] = {{.fd = call->socket, .events = POLLIN}};
    int count = 1;
    if (call->microphone)
        count += snd_pcm_poll_descriptors(call->microphone, fds + 1, 7);
    else
        fds[count++] = (struct pollfd){.fd = call->timer, .events = POLLIN};
    poll(fds, count, 100);
    if (fds[0].revents & POLLIN)
        receive_frame(call);
    if (capture_frame(call, fds + 1, count - 1, sound))
        send_frame(call, sound);
}

static struct settings parse(int count, char **words)
{
    struct settings settings = {.application = "voip", .complexity = 5, .bitrate = 32000, .frame_ms = 20};
    if (count < 5) {
        fprintf(stderr, "usage: floor DEVICE MY_PORT PEER_PORT SECONDS "
                        "[voip|lowdelay [COMPLEXITY [BITRATE [FRAME_MS [MICROPHONE_RAW]]]]]\n");
        exit(2);
    }
    settings.device = words[1];
    settings.my_port = atoi(words[2]);
    settings.peer_port = atoi(words[3]);
    settings.seconds = atof(words[4]);
    if (count > 5)
        settings.application = words[5];
    if (count > 6)
        settings.complexity = atoi(words[6]);
    if (count > 7)
        settings.bitrate = atoi(words[7]);
    if (count > 8)
        settings.frame_ms = atof(words[8]);
    settings.frame = (int)(settings.frame_ms * RATE / 1000 + 0.5);
    if (settings.frame < 120 || settings.frame > MAX_FRAME)
        fail("FRAME_MS: it must be 2.5 to 60; this");
    return settings;
}

int main(int count, char **words)
{
    struct call call = {.settings = parse(count, words), .timer = -1};
    if (count > 9)
        load_recording(&call, words[9]);
    open_codec(&call);
    open_crypto(&call);
    open_socket(&call);
    open_sound(&call);

    double start = now(), measured_from = 0, used_before = 0;
    while (now() < start + WARM_UP + call.settings.seconds) {
        if (measured_from == 0 && now() >= start + WARM_UP) {
            measured_from = now();
            used_before = processor_time();
        }
        wake_up(&call);
    }

    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double used = processor_time() - used_before, passed = now() - measured_from;
    printf("cpu_ms_per_s=%.2f sent=%ld received=%ld xruns=%ld rss_kb=%ld application=%s complexity=%d bitrate=%d "
           "frame_ms=%g\n",
           1e3 * used / passed, call.sent, call.received, call.xruns, usage.ru_maxrss, call.settings.application,
           call.settings.complexity, call.settings.bitrate, call.settings.frame_ms);
    return 0;
}
