import java.util.concurrent.*;
import org.eclipse.paho.mqttv5.client.*;
import org.eclipse.paho.mqttv5.common.*;

/** Publishes an order at QoS 3: stored once for its key, however often and by whomever it is
 * sent, never dropped, and a receipt tells what became of it.   Publisher orders/1 9.90
 *
 * The library shows no text of a refusal at QoS 2, and closes the connection. So it publishes at
 * QoS 1, and a rule of the pod's annotation sqmqos.io/publish asks for QoS 3, for the key, which
 * is the property order-id, and for the receipt. */
class Publisher extends Callback {
	static String topic;
	static final BlockingQueue<String> outcomes = new LinkedBlockingQueue<>();

	@Override public void messageArrived(String receipts, MqttMessage receipt) {
		if (topic.equals(property(receipt, "sqmqos-key"))) // not of an earlier order
			outcomes.add(property(receipt, "sqmqos-outcome"));
	}

	public static void main(String[] args) throws Exception {
		topic = args[0];
		var client = new MqttAsyncClient("tcp://localhost:1883", "shop", null);
		client.setCallback(new Publisher());
		// A durable session: receipts wait for us, and what has no answer when the connection is
		// lost is sent again. A copy with the same key is not stored.
		client.connect(options(3600)).waitForCompletion();
		client.subscribe("receipts/orders", 1).waitForCompletion();
		var sent = client.publish(topic, message(args[1], 1, "order-id", topic));
		sent.waitForCompletion();
		exitIfRefused(topic, sent);
		System.out.println(topic + ": stored");
		var outcome = outcomes.poll(10, TimeUnit.SECONDS);
		// A receipt that did not come waits in our session, unless this was a copy.
		System.out.println(topic + ": " + (outcome == null ? "no receipt yet" : outcome));
		client.disconnect().waitForCompletion();
		client.close();
	}
}
