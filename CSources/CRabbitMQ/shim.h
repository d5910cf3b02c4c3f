/* timeval is named in the library's headers and defined by whoever includes them. */
#include <sys/time.h>

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>

/* The numbers of methods are macros with a cast, which Swift does not see. */
static const amqp_method_number_t PS_AMQP_ACK = AMQP_BASIC_ACK_METHOD;
static const amqp_method_number_t PS_AMQP_NACK = AMQP_BASIC_NACK_METHOD;
static const amqp_method_number_t PS_AMQP_CHANNEL_CLOSE = AMQP_CHANNEL_CLOSE_METHOD;
static const amqp_method_number_t PS_AMQP_CONNECTION_CLOSE = AMQP_CONNECTION_CLOSE_METHOD;

/* amqp_login takes a password as a variable argument. A channel, and frames of 128 KiB. */
static inline amqp_rpc_reply_t ps_amqp_login(amqp_connection_state_t state, const char *vhost,
                                             int heartbeat_seconds, const char *user,
                                             const char *password) {
    return amqp_login(state, vhost, 1, 131072, heartbeat_seconds, AMQP_SASL_METHOD_PLAIN, user,
                      password);
}

/* The answer to a broker that closes a channel; from then on the channel's number is free again. */
static inline int ps_amqp_close_channel(amqp_connection_state_t state, amqp_channel_t channel) {
    amqp_channel_close_ok_t ok = {0};
    return amqp_send_method(state, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
}
