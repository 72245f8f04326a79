import java.net.InetAddress;
import java.util.Arrays;
import java.util.UUID;
import java.util.concurrent.*;
import org.eclipse.paho.mqttv5.client.*;
import org.eclipse.paho.mqttv5.common.*;

/** Asks for a price, and waits for the answer: an MQTT 5 request says where its reply goes to,
 * and by what it is known.   Requester shirt */
class Requester extends Callback {
	static final long PATIENCE_S = 10;
	static final String id = UUID.randomUUID().toString();
	static final BlockingQueue<String> replies = new LinkedBlockingQueue<>();

	@Override public void messageArrived(String topic, MqttMessage reply) {
		// What answers another request, perhaps of an earlier run, is passed by.
		if (Arrays.equals(reply.getProperties().getCorrelationData(), id.getBytes()))
			replies.add(reply.toString());
	}

	public static void main(String[] args) throws Exception {
		var client = new MqttAsyncClient("tcp://localhost:1883", id, null);
		client.setCallback(new Requester());
		client.connect(options(PATIENCE_S)).waitForCompletion(); // it outlasts a lost connection
		// On Kubernetes this is the pod's name: no other has it.
		var replyTo = "replies/" + InetAddress.getLocalHost().getHostName();
		client.subscribe(replyTo, 1).waitForCompletion();
		var request = message(args[0], 1);
		request.getProperties().setResponseTopic(replyTo);
		request.getProperties().setCorrelationData(id.getBytes());
		request.getProperties().setMessageExpiryInterval(PATIENCE_S); // if nobody takes it by then
		client.publish("prices/get", request);
		var price = replies.poll(PATIENCE_S, TimeUnit.SECONDS);
		System.out.println(args[0] + ": " + (price == null ? "no answer" : price));
		client.disconnect().waitForCompletion();
		client.close();
		System.exit(price == null ? 1 : 0);
	}
}
