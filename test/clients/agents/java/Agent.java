import com.hivemq.client.mqtt.MqttGlobalPublishFilter;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import com.hivemq.client.mqtt.mqtt3.Mqtt3AsyncClient;
import com.hivemq.client.mqtt.mqtt3.Mqtt3Client;
import com.hivemq.client.mqtt.mqtt3.message.publish.Mqtt3Publish;
import com.hivemq.client.mqtt.mqtt5.Mqtt5AsyncClient;
import com.hivemq.client.mqtt.mqtt5.Mqtt5Client;
import com.hivemq.client.mqtt.mqtt5.message.connect.Mqtt5Connect;
import com.hivemq.client.mqtt.mqtt5.message.publish.Mqtt5Publish;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * HiveMQ's client as an application that does what it is told: test/support/agents.py.
 *
 *   java Agent 3.1.1|5
 */
public class Agent {
    static final int PATIENCE_S = 30;

    interface Library {
        boolean connect(int port, String id, boolean clean, long expiry, String willTopic, String willText)
                throws Exception;
        void subscribe(String topic, int qos) throws Exception;
        void publish(String topic, int qos, boolean retain, byte[] payload) throws Exception;
        void disconnect() throws Exception;
    }

    static <T> T wait(CompletableFuture<T> future) throws Exception {
        return future.get(PATIENCE_S, TimeUnit.SECONDS);
    }

    static byte[] bytes(String s) {
        return s.getBytes(StandardCharsets.UTF_8);
    }

    static synchronized void say(String line) {
        byte[] out = bytes(line + "\n");
        System.out.write(out, 0, out.length);
        System.out.flush();
    }

    static void arrived(String topic, int qos, boolean retain, byte[] payload) {
        long sum = 0;
        for (int n = 0; n < payload.length; n++)
            sum = (sum + (long) (n + 1) * (payload[n] & 0xff)) & 0xffffffffL;
        say("message " + topic + " " + qos + " " + (retain ? 1 : 0) + " " + payload.length + " " + sum);
    }

    static class Old implements Library {
        Mqtt3AsyncClient client;

        public boolean connect(int port, String id, boolean clean, long expiry, String willTopic,
                String willText) throws Exception {
            client = Mqtt3Client.builder().identifier(id).serverHost("127.0.0.1").serverPort(port).buildAsync();
            client.publishes(MqttGlobalPublishFilter.ALL, (Mqtt3Publish p) -> arrived(p.getTopic().toString(),
                    p.getQos().getCode(), p.isRetain(), p.getPayloadAsBytes()));
            var connect = client.connectWith().cleanSession(clean);
            if (!willTopic.equals("-"))
                connect = connect.willPublish().topic(willTopic).payload(bytes(willText))
                        .qos(MqttQos.AT_LEAST_ONCE).applyWillPublish();
            return Agent.wait(connect.send()).isSessionPresent();
        }

        public void subscribe(String topic, int qos) throws Exception {
            Agent.wait(client.subscribeWith().topicFilter(topic).qos(MqttQos.fromCode(qos)).send());
        }

        public void publish(String topic, int qos, boolean retain, byte[] payload) throws Exception {
            Agent.wait(client.publishWith().topic(topic).qos(MqttQos.fromCode(qos)).retain(retain)
                    .payload(payload).send());
        }

        public void disconnect() throws Exception {
            Agent.wait(client.disconnect());
        }
    }

    static class Five implements Library {
        Mqtt5AsyncClient client;

        public boolean connect(int port, String id, boolean clean, long expiry, String willTopic,
                String willText) throws Exception {
            client = Mqtt5Client.builder().identifier(id).serverHost("127.0.0.1").serverPort(port).buildAsync();
            client.publishes(MqttGlobalPublishFilter.ALL, (Mqtt5Publish p) -> arrived(p.getTopic().toString(),
                    p.getQos().getCode(), p.isRetain(), p.getPayloadAsBytes()));
            var connect = Mqtt5Connect.builder().cleanStart(clean).sessionExpiryInterval(expiry);
            if (!willTopic.equals("-"))
                connect = connect.willPublish().topic(willTopic).payload(bytes(willText))
                        .qos(MqttQos.AT_LEAST_ONCE).applyWillPublish();
            return Agent.wait(client.connect(connect.build())).isSessionPresent();
        }

        public void subscribe(String topic, int qos) throws Exception {
            Agent.wait(client.subscribeWith().topicFilter(topic).qos(MqttQos.fromCode(qos)).send());
        }

        public void publish(String topic, int qos, boolean retain, byte[] payload) throws Exception {
            var result = Agent.wait(client.publishWith().topic(topic).qos(MqttQos.fromCode(qos))
                    .retain(retain).payload(payload).send());
            if (result.getError().isPresent())
                throw new Exception(result.getError().get());
        }

        public void disconnect() throws Exception {
            Agent.wait(client.disconnect());
        }
    }

    static byte[] payload(String text, int size) {
        byte[] unit = bytes(text), out = new byte[size];
        for (int n = 0; n < size; n++)
            out[n] = unit[n % unit.length];
        return out;
    }

    static String obey(Library library, String[] w) throws Exception {
        switch (w[0]) {
        case "connect":
            return "connected " + (library.connect(Integer.parseInt(w[1]), w[2], w[3].equals("1"),
                    Long.parseLong(w[4]), w[5], w[6]) ? 1 : 0);
        case "subscribe":
            library.subscribe(w[1], Integer.parseInt(w[2]));
            return "subscribed";
        case "publish":
            library.publish(w[1], Integer.parseInt(w[2]), w[3].equals("1"), payload(w[4], Integer.parseInt(w[5])));
            return "published";
        default:
            library.disconnect();
            return "disconnected";
        }
    }

    public static void main(String[] args) throws Exception {
        Library library = args[0].equals("5") ? new Five() : new Old();
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            try {
                say(obey(library, line.split(" ")));
            } catch (Exception e) {
                say("failed " + e);
            }
        }
        System.exit(0);
    }
}
