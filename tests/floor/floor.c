/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The least that a voice call can do, to compare DVS with: one thread, no peer to find, no handshake, a fixed key, no
 * protection against replay, no playout buffer, no concealment, no clients. What remains is what every call pays for:
 * the sound card, the codec, the cipher and the socket, all with the settings that DVS has by default.
 *
 *   floor DEVICE OWN_PORT PEER_PORT
 *
 * It talks to its like on 127.0.0.1 until SIGTERM ends it, and then prints what happened:
 *
 *   sent=N received=N refused=N overruns=N underruns=N
 */
#include <alsa/asoundlib.h>
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <opus/opus.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RATE 48000
#define FRAME 960 /* samples: 20 ms */
#define BITRATE 32000
#define COMPLEXITY 5
#define PAYLOAD 80 /* bytes of a frame at that rate */
#define TAG 8
#define HEADER 5 /* kind and sequence number, in clear and authenticated */
#define PACKET (HEADER + TAG + PAYLOAD)
#define MAX_FDS 8

struct call {
	snd_pcm_t *microphone, *loudspeaker;
	OpusEncoder *encoder;
	OpusDecoder *decoder;
	EVP_CIPHER_CTX *sealing, *opening;
	int socket;
	uint32_t next; /* sequence number */
	unsigned long sent, received, refused, overruns, underruns;
};

static volatile sig_atomic_t ended;

static void end(int signal)
{
	(void)signal;
	ended = 1;
}

/* Ends the program when something at its start went wrong. */
static void check(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "floor: %s\n", what);
	exit(1);
}

/* ---- Setting up ------------------------------------------------------------------------------------------------ */

/* A stream that starts with the first sample and wakes its reader once per frame. */
static snd_pcm_t *open_stream(const char *device, snd_pcm_stream_t stream, snd_pcm_uframes_t buffer)
{
	snd_pcm_t *pcm;
	snd_pcm_hw_params_t *hardware;
	snd_pcm_sw_params_t *software;
	snd_pcm_uframes_t period = FRAME;
	check(snd_pcm_open(&pcm, device, stream, 0) >= 0, "cannot open the sound card");
	snd_pcm_hw_params_alloca(&hardware);
	snd_pcm_hw_params_any(pcm, hardware);
	snd_pcm_hw_params_set_access(pcm, hardware, SND_PCM_ACCESS_RW_INTERLEAVED);
	snd_pcm_hw_params_set_format(pcm, hardware, SND_PCM_FORMAT_S16);
	snd_pcm_hw_params_set_channels(pcm, hardware, 1);
	snd_pcm_hw_params_set_rate(pcm, hardware, RATE, 0);
	snd_pcm_hw_params_set_period_size_near(pcm, hardware, &period, NULL);
	snd_pcm_hw_params_set_buffer_size_near(pcm, hardware, &buffer);
	check(snd_pcm_hw_params(pcm, hardware) >= 0, "the sound card cannot do 16 bit mono at 48 kHz");
	snd_pcm_sw_params_alloca(&software);
	snd_pcm_sw_params_current(pcm, software);
	snd_pcm_sw_params_set_start_threshold(pcm, software, 1);
	snd_pcm_sw_params_set_avail_min(pcm, software, FRAME);
	check(snd_pcm_sw_params(pcm, software) >= 0, "the sound card does not take its settings");
	return pcm;
}

static void open_codec(struct call *call)
{
	int error;
	call->encoder = opus_encoder_create(RATE, 1, OPUS_APPLICATION_VOIP, &error);
	check(error == OPUS_OK, "no encoder");
	opus_encoder_ctl(call->encoder, OPUS_SET_BITRATE(BITRATE));
	opus_encoder_ctl(call->encoder, OPUS_SET_VBR(0));
	opus_encoder_ctl(call->encoder, OPUS_SET_DTX(0));
	opus_encoder_ctl(call->encoder, OPUS_SET_COMPLEXITY(COMPLEXITY));
	opus_encoder_ctl(call->encoder, OPUS_SET_INBAND_FEC(1));
	call->decoder = opus_decoder_create(RATE, 1, &error);
	check(error == OPUS_OK, "no decoder");
}

static void open_cipher(struct call *call)
{
	static const unsigned char key[32] = { 1 };
	call->sealing = EVP_CIPHER_CTX_new();
	call->opening = EVP_CIPHER_CTX_new();
	check(call->sealing && call->opening, "no memory");
	check(EVP_EncryptInit_ex(call->sealing, EVP_aes_256_gcm(), NULL, key, NULL) == 1, "no cipher");
	check(EVP_DecryptInit_ex(call->opening, EVP_aes_256_gcm(), NULL, key, NULL) == 1, "no cipher");
}

static int open_socket(const char *own_port, const char *peer_port)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	address.sin_port = htons((uint16_t)atoi(own_port));
	check(bind(fd, (struct sockaddr *)&address, sizeof address) == 0, "cannot use the port");
	address.sin_port = htons((uint16_t)atoi(peer_port));
	check(connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "no way to the peer");
	return fd;
}

/* Before ordinary programs, as the audio thread of DVS; may be refused. */
static void become_real_time(void)
{
	struct sched_param parameters = { .sched_priority = 10 };
	sched_setscheduler(0, SCHED_FIFO, &parameters);
}

/* ---- Talking --------------------------------------------------------------------------------------------------- */

static void nonce_of(unsigned char nonce[12], const unsigned char sequence[4])
{
	memset(nonce, 0, 8);
	memcpy(nonce + 8, sequence, 4);
}

/* Seals the payload of `packet`, which is laid out as header, tag, payload. */
static void seal(struct call *call, unsigned char packet[PACKET])
{
	unsigned char nonce[12], *tag = packet + HEADER, *payload = tag + TAG;
	int length;
	nonce_of(nonce, packet + 1);
	EVP_EncryptInit_ex(call->sealing, NULL, NULL, NULL, nonce);
	EVP_EncryptUpdate(call->sealing, NULL, &length, packet, HEADER);
	EVP_EncryptUpdate(call->sealing, payload, &length, payload, PAYLOAD);
	EVP_EncryptFinal_ex(call->sealing, payload + length, &length);
	EVP_CIPHER_CTX_ctrl(call->sealing, EVP_CTRL_GCM_GET_TAG, TAG, tag);
}

/* Says whether `packet` is authentic; its payload is in clear then. */
static int unseal(struct call *call, unsigned char packet[PACKET])
{
	unsigned char nonce[12], *tag = packet + HEADER, *payload = tag + TAG;
	int length;
	nonce_of(nonce, packet + 1);
	EVP_DecryptInit_ex(call->opening, NULL, NULL, NULL, nonce);
	EVP_DecryptUpdate(call->opening, NULL, &length, packet, HEADER);
	EVP_DecryptUpdate(call->opening, payload, &length, payload, PAYLOAD);
	EVP_CIPHER_CTX_ctrl(call->opening, EVP_CTRL_GCM_SET_TAG, TAG, tag);
	return EVP_DecryptFinal_ex(call->opening, payload + length, &length) > 0;
}

/* One frame from the microphone to the peer. */
static void speak(struct call *call)
{
	int16_t sound[FRAME];
	unsigned char packet[PACKET] = { 0x80 };
	uint32_t sequence = htonl(call->next);
	if (snd_pcm_readi(call->microphone, sound, FRAME) != FRAME) {
		call->overruns++;
		snd_pcm_prepare(call->microphone);
		snd_pcm_start(call->microphone);
		return;
	}
	call->next++;
	memcpy(packet + 1, &sequence, sizeof sequence);
	if (opus_encode(call->encoder, sound, FRAME, packet + HEADER + TAG, PAYLOAD) != PAYLOAD)
		return;
	seal(call, packet);
	/* A peer that is not there yet is no reason to stop. */
	if (send(call->socket, packet, PACKET, 0) == PACKET)
		call->sent++;
}

/* One frame from the peer to the loudspeaker, at once. If the frame before has been played to its end already, this one
 * starts the loudspeaker again; so the delay settles where the latest frames are just in time. */
static void listen_once(struct call *call)
{
	int16_t sound[FRAME];
	unsigned char packet[PACKET];
	if (recv(call->socket, packet, PACKET, 0) != PACKET)
		return;
	if (!unseal(call, packet)) {
		call->refused++;
		return;
	}
	call->received++;
	int samples = opus_decode(call->decoder, packet + HEADER + TAG, PAYLOAD, sound, FRAME, 0);
	if (samples <= 0 || snd_pcm_writei(call->loudspeaker, sound, samples) >= 0)
		return;
	call->underruns++;
	snd_pcm_prepare(call->loudspeaker);
	snd_pcm_writei(call->loudspeaker, sound, samples);
}

static void talk(struct call *call)
{
	while (!ended) {
		struct pollfd fds[MAX_FDS] = { { .fd = call->socket, .events = POLLIN } };
		int count = snd_pcm_poll_descriptors(call->microphone, fds + 1, MAX_FDS - 1);
		unsigned short heard = 0;
		if (poll(fds, 1 + count, -1) < 0)
			continue;
		if (fds[0].revents)
			listen_once(call);
		snd_pcm_poll_descriptors_revents(call->microphone, fds + 1, count, &heard);
		if (heard & POLLIN)
			speak(call);
	}
}

int main(int argc, char **argv)
{
	struct call call = { 0 };
	struct sigaction polite = { .sa_handler = end };
	check(argc == 4, "usage: floor DEVICE OWN_PORT PEER_PORT");
	sigaction(SIGTERM, &polite, NULL);
	open_codec(&call);
	open_cipher(&call);
	call.socket = open_socket(argv[2], argv[3]);
	call.microphone = open_stream(argv[1], SND_PCM_STREAM_CAPTURE, 8 * FRAME);
	call.loudspeaker = open_stream(argv[1], SND_PCM_STREAM_PLAYBACK, 6 * FRAME);
	become_real_time();
	check(snd_pcm_start(call.microphone) >= 0, "the sound card does not start");
	talk(&call);
	snd_pcm_close(call.microphone);
	snd_pcm_close(call.loudspeaker);
	printf("sent=%lu received=%lu refused=%lu overruns=%lu underruns=%lu\n", call.sent, call.received, call.refused,
	       call.overruns, call.underruns);
	return 0;
}
